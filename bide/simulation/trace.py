"""Arrivals files: `timestamp,arrivals` a row, or the time of one arrival a row."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

_NUMBER: Final = re.compile(r"-?\d+(\.\d*)?([eE][+-]?\d+)?")
_EXPECTED: Final = (
    "expected `timestamp,arrivals`, or a timestamp alone for one arrival; "
    "a timestamp is a number of seconds, or as in 2026-01-31T12:00:00"
)


class TraceError(Exception):
    """The file is no arrivals file; says which line, and what is expected."""

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {problem}" if line else problem)


@dataclass(frozen=True, slots=True)
class Trace:
    """What a file says."""

    rows: tuple[tuple[float, int], ...]
    """Seconds since the first row, and the arrivals in the `gap` that begins then."""
    gap: float
    """Seconds that a row stands for: the median between two; 0 when each row is one arrival."""

    def part(self, start: float, seconds: float = math.inf) -> Trace:
        """The rows of so many seconds from `start`, which becomes 0. Raises TraceError if there are none."""
        rows = tuple((at - start, count) for at, count in self.rows if start <= at < start + seconds)
        if not rows:
            last = self.rows[-1][0]
            raise TraceError(
                f"no row lies between --from and --hours; the trace ends {last / 3600:.3g} h after its start"
            )
        return Trace(rows, self.gap)


def read(path: Path) -> Trace:
    """Read a file. Its first line may be a heading. Raises TraceError, OSError."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            return parse(file)
        except UnicodeDecodeError as error:
            raise TraceError(f"this is no text: {error.reason} at byte {error.start}") from error
        except csv.Error as error:
            raise TraceError(f"this is no CSV: {error}") from error


def parse(lines: Iterable[str]) -> Trace:
    """The trace that these lines hold. Raises TraceError."""
    rows = list(_rows(lines))
    if not rows:
        raise TraceError(f"it holds no arrivals: {_EXPECTED}")
    start = rows[0][0]
    times = [at for at, _ in rows]
    single = rows[0][1] is None
    gaps = [later - at for at, later in pairwise(times)]
    gap = 0.0 if single else (median(gaps) if gaps else 1.0)
    return Trace(tuple((at - start, 1 if count is None else count) for at, count in rows), gap)


def _rows(lines: Iterable[str]) -> Iterator[tuple[float, int | None]]:
    """Time and arrivals of each row; None where the row is one arrival."""
    reader = csv.reader(lines)
    before, columns = -math.inf, 0
    for cells in reader:
        line = reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        at = _time(cells[0].strip())
        if at is None and not columns:
            columns = -1  # a heading, once
            continue
        if at is None:
            raise TraceError(f"{cells[0].strip()!r} is no timestamp: {_EXPECTED}", line)
        if columns > 0 and len(cells) != columns:
            raise TraceError(f"{len(cells)} columns after rows of {columns}: {_EXPECTED}", line)
        if len(cells) > 2:
            raise TraceError(f"{len(cells)} columns: {_EXPECTED}", line)
        if at < before:
            raise TraceError(f"{cells[0].strip()!r} lies before the row above; sort the rows by time", line)
        before, columns = at, len(cells)
        yield at, None if columns == 1 else _count(cells[1].strip(), line)


def _time(text: str) -> float | None:
    """Seconds; None for what is no timestamp."""
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _count(text: str, line: int) -> int:
    if not re.fullmatch(r"\d{1,9}(\.0*)?", text):
        raise TraceError(f"{text!r} is no number of arrivals: a whole number, 0 or more, is expected", line)
    return int(text.partition(".")[0])
