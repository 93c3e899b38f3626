"""The screen that rich draws. The only module that imports rich, and imported only to draw."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table as RichTable
from rich.text import Text

from bide_client.printable import one_line, printable
from bide_client.table import (
    GAP,
    INDENT,
    Add,
    Block,
    Draw,
    Line,
    Marked,
    Table,
    Tell,
    lanes,
    padded,
    widths,
)

STYLES: Final[Mapping[str, str]] = {
    "ready": "blue",
    "scheduled": "blue",
    "running": "cyan",
    "working": "cyan",
    "waiting": "magenta",
    "progress": "cyan",
    "event": "magenta",
    "retrying": "yellow",
    "paused": "yellow",
    "standby": "yellow",
    "leaving": "yellow",
    "WARNING": "yellow",
    "lost": "yellow",
    "succeeded": "green",
    "done": "green",
    "failed": "red",
    "ERROR": "red",
    "CRITICAL": "bold red",
    "cancelled": "dim",
    "expired": "red",
    "DEBUG": "dim",
    "title": "bold",
}
"""By mark; what is not here has no style. NO_COLOR takes the colours away."""

BAR: Final = 24
"""Places of a progress bar."""
LEAST: Final = 24
"""Places of a column whose cells may be folded, where they need so many."""


def of_stdout() -> RichScreen | None:
    """A screen on stdout, unless its terminal cannot move the cursor."""
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    return RichScreen(console) if console.is_terminal and not console.is_dumb_terminal else None


class RichScreen:
    """Tables and colours, drawn in place. What it is given has been made printable, and is no markup.

    Where a table is wider than the terminal, its rows take several lines. A text, or a cell, that is
    too wide by itself is left to the terminal to wrap, so that an id can be copied whole.
    """

    redraws = True

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, *blocks: Block) -> None:
        for block in blocks:
            if isinstance(block, Table):
                self._console.print(Fitting(block), crop=False)
            else:
                self._console.print(_drawn(block), soft_wrap=True)

    @contextmanager
    def rows(self) -> Iterator[Add]:
        """Counted while they come in, shown when all are there, or as many as there are by then."""
        whole = Table(())
        spinner = Spinner("dots", Text(" searching"))

        def add(part: Table, looked_at: int) -> None:
            whole.columns = part.columns
            whole.rows += part.rows
            among = f" among {looked_at:,}" if looked_at > len(whole.rows) else ""
            spinner.update(text=Text(f" searching: {len(whole.rows):,} found{among}"))

        try:
            with Live(spinner, console=self._console, transient=True, redirect_stderr=False):
                yield add
        finally:
            if whole.rows:
                self.show(whole)

    @contextmanager
    def line(self) -> Iterator[Tell]:
        live = Live(console=self._console, redirect_stderr=False)
        last = Text()

        def tell(line: Line) -> None:
            nonlocal last
            last = Text(one_line(line.text))
            done = line.fraction
            bar = [] if done is None else [ProgressBar(1.0, min(max(done, 0.0), 1.0), BAR)]
            grid = RichTable.grid(padding=(0, 1))
            grid.add_row(Spinner("dots"), *bar, last)
            live.update(grid)
            live.start(refresh=True)

        try:
            yield tell
        finally:
            if live.is_started:
                live.update(last, refresh=True)
                live.stop()

    @contextmanager
    def view(self) -> Iterator[Draw]:
        with Live(console=self._console, screen=True, auto_refresh=False, redirect_stderr=False) as live:
            yield lambda blocks: live.update(Group(*map(_drawn, blocks)), refresh=True)


class Fitting:
    """A table in the room there is: where its columns need more, its rows take several lines."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if _least_width(self._table) <= options.max_width:
            yield _table(self._table)
        else:
            yield from _folded(self._table, options.max_width)


def _least_width(table: Table) -> int:
    """How wide a table has to be: its whole cells are not cut, others get some room at least."""
    wide = [
        size if column.whole or column.right else min(size, LEAST)
        for size, column in zip(widths([table]), table.columns, strict=True)
    ]
    return sum(wide) + len(GAP) * (len(wide) - 1)


def _folded(table: Table, room: int) -> Iterator[RenderableType]:
    """The table line by line. A cell that may be folded is, if it has a line of its own; others are whole."""
    wide = widths([table])
    if table.title:
        yield Text(table.title, style="bold")
    heads = tuple(Marked(column.title, "title") for column in table.columns)
    for i, row in enumerate((heads, *table.rows)):
        for lane in lanes(wide, room):
            if not any(row[place].text for place in lane):
                continue
            indent = len(INDENT) if lane.start else 0
            first = table.columns[lane.start]
            if len(lane) == 1 and not (first.whole or first.right):
                yield Padding(_text(row[lane.start]), (0, 0, 0, indent))
                continue
            line = Text(" " * indent, no_wrap=True, overflow="ignore")
            for place in lane:
                cell, column = row[place], table.columns[place]
                text = padded(cell.text, wide[place], right=column.right)
                line.append(GAP if place > lane.start else "")
                line.append(text, style=STYLES.get(cell.mark, ""))
            line.rstrip()
            yield line
        if not i:
            yield Text("─" * room)


def _drawn(block: Block) -> RenderableType:
    if isinstance(block, Table):
        return Fitting(block)
    return _text(block) if isinstance(block, Marked) else Text(printable(block))


def _text(marked: Marked) -> Text:
    return Text(marked.text, style=STYLES.get(marked.mark, ""))


def _table(table: Table) -> RichTable:
    drawn = RichTable(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        title_justify="left",
        title_style="bold",
    )
    if table.title:
        drawn.title = Text(table.title)
    for column in table.columns:
        drawn.add_column(
            Text(column.title),
            justify="right" if column.right else "left",
            no_wrap=column.whole or column.right,
            overflow="fold",
        )
    for row in table.rows:
        drawn.add_row(*map(_text, row))
    return drawn
