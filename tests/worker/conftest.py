"""Fixtures: the process that forks workers, and a stage for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Stage, Zygote

from bide.store import Store


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    zygote = Zygote()
    yield zygote
    zygote.end()


@pytest.fixture
def stage(zygote: Zygote, store_url: str, store: Store, prefix: str, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(zygote, store_url, store, prefix, tmp_path / "effects")
    yield stage
    stage.close()
