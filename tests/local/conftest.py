"""Stacks and folders for the tests of local/."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack_process import Package, StackProcess


@pytest.fixture
def start() -> Iterator[Callable[..., StackProcess]]:
    """Starts stacks that end with the test."""
    stacks: list[StackProcess] = []

    def begin(port: int | None = None, **environ: str) -> StackProcess:
        stacks.append(StackProcess(port, **environ))
        return stacks[-1]

    yield begin
    for stack in stacks:
        stack.end()


@pytest.fixture(scope="module")
def stack() -> Iterator[StackProcess]:
    """One stack for the tests of a module, which leave it as they found it."""
    stack = StackProcess()
    try:
        yield stack.ready()
    finally:
        stack.end()


@pytest.fixture
def package(tmp_path: Path) -> Package:
    return Package(tmp_path, "saved_tasks")
