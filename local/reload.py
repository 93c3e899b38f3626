"""Tells when the code that children run has changed on disk."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Final

from watchfiles import Change, DefaultFilter, awatch

from local.children import ROOT

_OWN: Final = ("app.py", "bide", "chalice_app", "workers")
"""The product's own code, within ROOT."""

_STEP_MS: Final = 50
"""Changes that follow each other within this time are one change."""


def watched(packages: Iterable[str]) -> list[Path]:
    """Files and folders whose change calls for new processes: ours, and those of the task packages."""
    return [path for name in _OWN if (path := ROOT / name).exists()] + [
        place for package in packages if (place := _place(package)) is not None
    ]


async def changes(packages: Sequence[str]) -> AsyncIterator[list[Path]]:
    """Yield what was saved, deleted or added, each time that something was."""
    wanted = watched(packages)
    folders = {path if path.is_dir() else path.parent for path in wanted}
    # A single file is watched through its folder, since editors replace files; and not
    # recursively, since the clone's folder holds the store's data and the .venv.
    shallow = {path.parent for path in wanted if path.is_file()}
    deep = [folder for folder in folders if folder not in shallow]
    is_code = _IsCode(wanted)
    async for batch in _merged(deep, sorted(shallow), is_code):
        yield sorted({Path(path) for _, path in batch})
