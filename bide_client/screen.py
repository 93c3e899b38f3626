"""Where commands show things: plain text, or with rich on a terminal where it is installed.

Results go to stdout, everything said about them to stderr. Every line is written at once, so
that what reads them from a pipe has them when they come.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from bide_client import table
from bide_client.printable import one_line, printable
from bide_client.render import document
from bide_client.table import Add, Block, Draw, Line, Marked, Table, Tell


class Screen(Protocol):
    """What commands show things on."""

    @property
    def redraws(self) -> bool:
        """Whether something new can take the place of something shown before."""

    def show(self, *blocks: Block) -> None:
        """Show them, one below the other."""

    def rows(self) -> AbstractContextManager[Add]:
        """Show a long table, part by part."""

    def line(self) -> AbstractContextManager[Tell]:
        """Show how something goes on; the last line stays."""

    def view(self) -> AbstractContextManager[Draw]:
        """Show a whole screen that is drawn again and again."""


class Plain:
    """Aligned text, for pipes, and for terminals where rich is not installed."""

    redraws = False

    def show(self, *blocks: Block) -> None:
        for block in blocks:
            if isinstance(block, Table):
                _print(*table.lines(block, table.widths([block])))
            else:
                _print(block.text if isinstance(block, Marked) else printable(block))

    @contextmanager
    def rows(self) -> Iterator[Add]:
        """Part by part, as it comes; columns never get narrower."""
        wide: list[int] = []

        def add(part: Table, _: int) -> None:
            nonlocal wide
            if part.rows:
                heading, needed = not wide, table.widths([part])
                wide = [max(pair) for pair in zip(wide or needed, needed, strict=True)]
                _print(*table.lines(part, wide, heading=heading))

        yield add

    @contextmanager
    def line(self) -> Iterator[Tell]:
        """A line whenever it says something new."""
        last = ""

        def tell(line: Line) -> None:
            nonlocal last
            text = one_line(line.text)
            if text != last:
                _print(text)
                last = text

        yield tell

    @contextmanager
    def view(self) -> Iterator[Draw]:
        """The blocks, one below the other."""
        yield lambda blocks: self.show(*blocks)


def of_stdout() -> Screen:
    """The best screen that stdout can be."""
    if sys.stdout.isatty():
        try:
            from bide_client import rich_screen
        except ImportError:
            return Plain()
        found = rich_screen.of_stdout()
        if found is not None:
            return found
    return Plain()


def emit(json: Mapping[str, Any]) -> None:
    """Print one JSON document on one line, at once."""
    _print(document(json))


def say(message: str) -> None:
    """Tell people something that is not the output."""
    print(f"bide: {printable(message)}", file=sys.stderr)


def _print(*lines: str) -> None:
    print("\n".join(lines), flush=True)
