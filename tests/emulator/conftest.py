"""Emulators that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from emulator_thread import EmulatorThread

from local.emulator.function import Rules


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., EmulatorThread]]:
    """Starts an emulator under rules of the test's own."""
    started: list[EmulatorThread] = []

    def begin(rules: Rules | None = None, **arguments: Any) -> EmulatorThread:
        folder = tmp_path / f"emulator-{len(started)}"
        folder.mkdir()
        started.append(EmulatorThread(folder, rules, **arguments))
        return started[-1]

    yield begin
    for emulator in started:
        emulator.stop()


@pytest.fixture
def emulator(start: Callable[..., EmulatorThread]) -> EmulatorThread:
    """An emulator under Lambda's own rules."""
    return start()
