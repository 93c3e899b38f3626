"""The report of a run: printed line by line, and kept in results/latest.json."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from bench.line import Line
from bench.machine import Machine, Versions

LATEST: Final = Path(__file__).parent / "results" / "latest.json"
"""The last full run. A quick one, or one of a single benchmark, is not kept."""


class Report(msgspec.Struct, frozen=True):
    """One run."""

    date: str
    """RFC 3339, UTC: when it began."""
    quick: bool
    machine: Machine
    versions: Versions
    lines: tuple[Line, ...]

    @property
    def missed(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if not line.passed)


def heading(machine: Machine, versions: Versions) -> str:
    """Machine and versions in one line."""
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib:g} GiB, load {machine.load:g}; "
        f"Python {versions.python}, Valkey {versions.valkey}, redis-py {versions.redis_py}"
    )


def printed(line: Line) -> str:
    """Name, goal, value, verdict, and after them the spread and the note."""
    more = "; ".join(filter(None, (line.shown_spread, line.note)))
    name = f"{line.of}: {line.name}" if line.of else line.name
    columns = f"{line.benchmark:<11}{name:<52}{line.shown_goal:>12}{line.shown_value:>14}  {line.verdict:<4}"
    return f"{columns}  {more}".rstrip()


def save(report: Report, path: Path = LATEST) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def load(path: Path = LATEST) -> Report:
    """Raises OSError without a report, msgspec.ValidationError when it is not one."""
    return msgspec.json.decode(path.read_bytes(), type=Report)
