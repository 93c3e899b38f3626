"""README's table of results, made from results/latest.json: `python -m bench.table`."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench import report
from bench.line import Line
from bench.report import Report
from local.children import ROOT

README: Final = ROOT / "README.md"

_BEGIN: Final = "<!-- bench:begin -->"
_END: Final = "<!-- bench:end -->"
_MARKED: Final = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)


_VERDICTS: Final = {"pass": "✓", "MISS": "**missed**", "": ""}
_MARKS: Final = {"extrapolated": "~", "at least": "≥ "}
"""What a note begins with, for a value that was not measured as such."""


class NoMarkers(Exception):
    """The document has no place for the table."""


def table(results: Report) -> str:
    """The table in Markdown, one of the systems that were compared, and a line about the machine."""
    rows = ["| | goal | measured | |", "|---|---|---|---|"]
    rows += [_row(line) for line in results.lines if not line.of]
    compared = [line for line in results.lines if line.of]
    for benchmark in dict.fromkeys(line.benchmark for line in compared):
        rows += _comparison([line for line in compared if line.benchmark == benchmark])
    machine, versions = results.machine, results.versions
    source = (
        f"Measured {results.date[:10]} by `make bench` on {machine.cores} cores of {machine.cpu} "
        f"with {machine.memory_gib:g} GiB: Python {versions.python}, Valkey {versions.valkey}, "
        f"redis-py {versions.redis_py}."
    )
    return "\n".join([*rows, "", source])


def _row(line: Line) -> str:
    verdict = _VERDICTS[line.verdict]
    goal = line.shown_goal.replace(">=", "≥").replace("<=", "≤")
    return f"| {line.benchmark}: {line.name} | {goal} | {line.shown_value} | {verdict} |"


def _comparison(lines: Sequence[Line]) -> list[str]:
    """A row for each system, a column for each thing that was measured of it."""
    names = list(dict.fromkeys(line.name for line in lines))
    cells: dict[str, dict[str, str]] = {}
    for line in lines:
        bound = next((mark for word, mark in _MARKS.items() if line.note.startswith(word)), "")
        verdict = _VERDICTS[line.verdict]
        cells.setdefault(line.of, {})[line.name] = f"{bound}{line.shown_value} {verdict}".rstrip()
    head = ["", f"| {lines[0].benchmark} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    rows = [f"| {of} | {' | '.join(found.get(name, '') for name in names)} |" for of, found in cells.items()]
    return head + rows


def with_table(document: str, results: Report) -> str:
    """The document with the table between its markers. Raises NoMarkers."""
    if not _MARKED.search(document):
        raise NoMarkers(f"no place for the table: add {_BEGIN} and {_END}")
    return _MARKED.sub(lambda _: f"{_BEGIN}\n{table(results)}\n{_END}", document, count=1)


def update(readme: Path = README) -> None:
    """Put the table of the latest report into `readme`. Raises NoMarkers, OSError."""
    readme.write_text(with_table(readme.read_text(encoding="utf-8"), report.load()), encoding="utf-8")


def main() -> int:
    try:
        update()
    except (NoMarkers, OSError) as error:
        print(f"{README.name}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
