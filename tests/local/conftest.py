"""Stacks and folders for the tests of local/."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack_process import Package, StackProcess

from local.children import ROOT


@pytest.fixture
def start() -> Iterator[Callable[..., StackProcess]]:
    """Starts stacks that end with the test."""
    stacks: list[StackProcess] = []

    def begin(port: int | None = None, root: Path = ROOT, **environ: str) -> StackProcess:
        stacks.append(StackProcess(port, root, **environ))
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
def clone(tmp_path: Path) -> Path:
    """A copy of the code that a stack runs, to be broken at will."""
    folder = tmp_path / "clone"
    for name in ("bide", "bide_client", "chalice_app", "workers", "local"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "app.py", folder)
    return folder


@pytest.fixture
def package(tmp_path: Path) -> Package:
    return Package(tmp_path, "saved_tasks")
