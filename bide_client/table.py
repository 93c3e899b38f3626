"""What commands show: lines of text, and tables. Pure.

Text that came from elsewhere is made printable here, so that every screen can show it as it is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bide_client.printable import one_line, printable

GAP: Final = "  "
"""Between two columns."""
INDENT: Final = "    "
"""Before what goes on of a row on another line."""


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

    def __post_init__(self) -> None:
        self.title = one_line(self.title)

    def add(self, *cells: Cell) -> None:
        """Add a row; each cell is put on one line."""
        marked = [cell if isinstance(cell, Marked) else Marked(cell, "") for cell in cells]
        self.rows.append(tuple(Marked(one_line(cell.text), cell.mark) for cell in marked))


Block = str | Marked | Table
Draw = Callable[[Sequence[Block]], None]
"""Show these blocks in place of those drawn before."""
Tell = Callable[[Line], None]
"""Show this line in place of the one told before."""
Add = Callable[[Table, int], None]
"""Show these rows below those added before, which have the same columns; so many have been looked at."""


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
            padded(cell.text, size, right=column.right)
            for cell, size, column in zip(row, wide, table.columns, strict=True)
        ]
        shown.append(GAP.join(cells).rstrip())
    return shown


def lanes(wide: Sequence[int], room: int) -> list[range]:
    """The columns that each line of a row has, where it takes several; those below the first are indented.

    wide: the width of each column. room: that of a line. A column wider than that has a line of its own.
    """
    found, first, used = [], 0, 0
    for i, size in enumerate(wide):
        if i > first and used + len(GAP) + size > room:
            found.append(range(first, i))
            first, used = i, len(INDENT) + size
        else:
            used += size + (len(GAP) if i > first else 0)
    return [*found, range(first, len(wide))]


def width(text: str) -> int:
    """How many places of a terminal the text takes."""
    return sum(_places(character) for character in text)


def _places(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def padded(text: str, size: int, *, right: bool) -> str:
    """The text in as many places; `right`: at their end."""
    blanks = " " * (size - width(text))
    return blanks + text if right else text + blanks
