"""Changes of the code, gathered until somebody has time for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from local.children import shown
from local.reload import watch

_NAMED: Final = 3
"""How many files a message names."""


class Changes:
    """What has been saved, added or deleted since it was last asked for."""

    def __init__(self) -> None:
        self._changed: set[Path] = set()
        self._change = asyncio.Event()

    async def watch(self, find: Callable[[], list[Path]]) -> None:
        """Gather changes of the code in what `find` says, until cancelled."""
        await watch(find, self.gather)

    async def next(self) -> list[Path]:
        """Wait until there are some; returns all there are, which are then forgotten."""
        await self._change.wait()
        self._change.clear()
        changed, self._changed = sorted(self._changed), set()
        return changed

    def gather(self, paths: list[Path]) -> None:
        """Add some that have not been seen to."""
        self._changed.update(paths)
        self._change.set()


def in_words(changed: Sequence[Path]) -> str:
    """The files, the first few by name."""
    names = ", ".join(shown(path) for path in changed[:_NAMED])
    return f"{names}, ..." if len(changed) > _NAMED else names
