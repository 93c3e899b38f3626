"""Tells when the code that children run has changed on disk."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import sys
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from watchfiles import Change, DefaultFilter, awatch

from local.children import ROOT

_OWN: Final = ("app.py", "bide", "chalice_app", "workers")
"""The product's own code, within ROOT."""

_CODE: Final = (".py", ".lua")

_STEP_MS: Final = 50
"""Changes that follow each other within this time are one change."""

_LOOK_S: Final = 1.0
"""How often it is looked whether a watched place is still the same: who watches a folder hears no more of it
once another has taken its place, and nothing of one that is not there yet."""


def watched(packages: Iterable[str]) -> list[Path]:
    """Files and folders whose change calls for new processes: ours, and those of the task packages."""
    places = [place(package) for package in packages]
    return [path for path in [*(ROOT / name for name in _OWN), *places] if path is not None and path.exists()]


async def watch(find: Callable[[], list[Path]], on_change: Callable[[list[Path]], None]) -> None:
    """Call `on_change` with the code files that were saved, added or deleted, until cancelled.

    find: the files and folders to watch, asked again and again. One that comes, goes, or is another than
    before, as after `git checkout`, is a change of its own.
    """
    places = _identified(find())
    while True:
        async with asyncio.TaskGroup() as group:
            watchers = [group.create_task(watcher) for watcher in _watchers(places, on_change)]
            while (found := _identified(find())) == places:
                await asyncio.sleep(_LOOK_S)
            for task in watchers:
                task.cancel()
        on_change(sorted({path for path, _ in found.items() ^ places.items()}))
        places = found


def _identified(paths: Iterable[Path]) -> dict[Path, int]:
    """What tells a folder from another of its name, by path; a file is as good as any other."""
    found = {}
    for path in paths:
        with contextlib.suppress(OSError):  # it has gone meanwhile
            found[path] = path.stat().st_ino if path.is_dir() else 0
    return found


def _watchers(
    paths: Collection[Path], on_change: Callable[[list[Path]], None]
) -> Iterator[Coroutine[Any, Any, None]]:
    folders = [path for path in paths if path.is_dir()]
    files = [path for path in paths if path.is_file()]
    if folders:
        yield _watch(folders, _IsCode(paths), True, on_change)
    if files:
        # Through their folders, since editors replace files rather than change them; and not
        # recursively, since the clone also holds the store's data and the .venv.
        parents = sorted({path.parent for path in files})
        yield _watch(parents, _IsCode(paths), False, on_change)


def forget_bytecode(sources: Iterable[Path]) -> None:
    """Delete what Python has compiled of these files.

    It compares times in whole seconds, and would take a file that was saved twice within
    one second, with the same length, for unchanged.
    """
    for source in sources:
        if source.suffix == ".py":
            Path(importlib.util.cache_from_source(str(source))).unlink(missing_ok=True)


class _IsCode(DefaultFilter):
    """Passes code that lies in one of `paths`, or is one of them."""

    def __init__(self, paths: Collection[Path]) -> None:
        super().__init__()
        self._paths = paths

    def __call__(self, change: Change, path: str) -> bool:
        if not path.endswith(_CODE) or not super().__call__(change, path):
            return False
        return any(Path(path).is_relative_to(watched_path) for watched_path in self._paths)


async def _watch(
    paths: Iterable[Path], is_code: _IsCode, recursive: bool, on_change: Callable[[list[Path]], None]
) -> None:
    async for batch in awatch(*paths, watch_filter=is_code, step=_STEP_MS, recursive=recursive):
        on_change(sorted({Path(path) for _, path in batch}))


def place(package: str) -> Path | None:
    """Where a package or module is, found without importing it; None when it is nowhere."""
    for entry in sys.path:
        path = Path(entry or ".").resolve().joinpath(*package.split("."))
        if path.is_dir():
            return path
        if path.with_suffix(".py").is_file():
            return path.with_suffix(".py")
    return None
