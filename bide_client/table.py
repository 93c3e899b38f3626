"""What commands show: lines of text, and tables. Pure.

Text that came from elsewhere is made printable here, so that every screen can show it as it is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bide_client.render import one_line, printable

GAP: Final = "  "
"""Between two columns of a plain table."""


@dataclass(frozen=True)
class Marked:
    """A text with a word for what it is, such as a state or a level, which may give it its colour."""

    text: str
    mark: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", printable(self.text))


@dataclass(frozen=True)
class Line:
    """How something goes on, on one line; `fraction` from 0 to 1 of it is done, None if that is not known."""

    text: str
    fraction: float | None = None


@dataclass(frozen=True)
class Column:
    """A column; `right`: its cells are numbers. `whole`: its cells are never cut, such as ids."""

    title: str
    right: bool = False
    whole: bool = False


Cell = str | Marked


@dataclass
class Table:
    """Rows under columns, perhaps under a title."""

    columns: Sequence[Column]
    title: str = ""
    rows: list[tuple[Marked, ...]] = field(default_factory=list)

    def add(self, *cells: Cell) -> None:
        """Add a row; each cell is put on one line."""
        marked = [cell if isinstance(cell, Marked) else Marked(cell, "") for cell in cells]
        self.rows.append(tuple(Marked(one_line(cell.text), cell.mark) for cell in marked))


Block = str | Marked | Table
Draw = Callable[[Sequence[Block]], None]
"""Show these blocks in place of those drawn before."""
Tell = Callable[[Line], None]
"""Show this line in place of the one told before."""
Add = Callable[[Table], None]
"""Show these rows below those added before, which have the same columns."""


def widths(tables: Iterable[Table]) -> list[int]:
    """The width of each column that fits all of these tables, which have the same columns."""
    found: list[int] = []
    for table in tables:
        for row in (tuple(Marked(column.title, "") for column in table.columns), *table.rows):
            cells = [width(cell.text) for cell in row]
            found = [max(pair) for pair in zip(found or cells, cells, strict=True)]
    return found


def lines(table: Table, wide: Sequence[int], *, heading: bool = True) -> list[str]:
    """The table as aligned text: its title and heading, unless they have been shown, and its rows."""
    shown = [table.title] if table.title and heading else []
    heads = [tuple(Marked(column.title, "") for column in table.columns)] if heading else []
    for row in (*heads, *table.rows):
        cells = [
            _padded(cell.text, size, right=column.right)
            for cell, size, column in zip(row, wide, table.columns, strict=True)
        ]
        shown.append(GAP.join(cells).rstrip())
    return shown


def width(text: str) -> int:
    """How many places of a terminal the text takes."""
    return sum(_places(character) for character in text)


def _places(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _padded(text: str, size: int, *, right: bool) -> str:
    blanks = " " * (size - width(text))
    return blanks + text if right else text + blanks
