"""Deployed fleets, each shared by the tests that ask for the same settings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from running_fleet import RunningFleet

Play = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def found_fleet(
    runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., RunningFleet]]:
    """Deploys a fleet with these variables; the module's tests share it."""
    fleets: list[RunningFleet] = []

    def make(**variables: str) -> RunningFleet:
        folder: Path = tmp_path_factory.mktemp("fleet")
        fleet = RunningFleet(folder, PYTHONPATH=str(Path(__file__).parent), **variables)
        runner.run(fleet.start())
        fleets.append(fleet)
        return fleet

    yield make
    for fleet in fleets:
        runner.run(fleet.stop())
