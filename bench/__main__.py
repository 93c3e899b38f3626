"""`python -m bench`: what `make bench` runs."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable, Iterator
from typing import Final

from bench import (
    classic,
    cold,
    dense,
    drain,
    fromzero,
    http,
    memory,
    peers,
    predict,
    recording,
    replay,
    roundtrips,
    scale,
    scaling,
    sparse,
    submit,
    table,
    waits,
    wakeup,
)
from bench.errors import BenchFailed
from bench.line import Line
from bench.machine import machine, versions
from bench.report import LATEST, Report, heading, printed, save
from local.children import shown

BENCHMARKS: Final[dict[str, Callable[[bool], Iterator[Line]]]] = {
    "submit": submit.measure,
    "drain": drain.measure,
    "recording": recording.measure,
    "wakeup": wakeup.measure,
    "http": http.measure,
    "roundtrips": roundtrips.measure,
    "replay": replay.measure,
    "waits": waits.measure,
    "predict": predict.measure,
    "dense": dense.measure,
    "sparse": sparse.measure,
    "cold": cold.measure,
    "fromzero": fromzero.measure,
    "scaling": scaling.measure,
    "memory": memory.measure,
    "scale": scale.measure,
    "peers": peers.measure,
    "classic": classic.measure,
}

LONG: Final = {"sparse": "it takes eleven minutes"}
"""Left out of a quick run, and why; alone, `--only NAME --quick` gives a glance at it."""

MISSED: Final = 1
"""Exit code when a goal is missed or a benchmark failed."""
INTERRUPTED: Final = 130


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure against the goals.")
    parser.add_argument("--only", choices=BENCHMARKS, help="run this one alone; nothing is written")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; nothing is written")
    arguments = parser.parse_args()
    names = [arguments.only] if arguments.only else list(BENCHMARKS)
    if arguments.quick and not arguments.only:
        for name, why in LONG.items():
            names.remove(name)
            print(f"LEFT OUT of this quick run: {name}, since {why}", flush=True)

    date = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
    hardware, software = machine(), versions()
    print(heading(hardware, software), flush=True)
    lines, failed = _run(names, arguments.quick)
    report = Report(date, arguments.quick, hardware, software, tuple(lines))
    if not (arguments.only or arguments.quick or failed):
        save(report)
        table.update()
        print(f"written: {shown(LATEST)}, and the table in {table.README.name}")
    for line in report.missed:
        print(f"missed: {line.benchmark}: {line.name}: {line.shown_value}, not {line.shown_goal}")
    return MISSED if report.missed or failed else 0


def _run(names: list[str], quick: bool) -> tuple[list[Line], bool]:
    """All lines, printed as they come, and whether a benchmark failed."""
    lines: list[Line] = []
    failed = False
    for name in names:
        try:
            for line in BENCHMARKS[name](quick):
                lines.append(line)
                print(printed(line), flush=True)
        except BenchFailed as error:
            failed = True
            print(f"{name}: failed: {error}", file=sys.stderr, flush=True)
    return lines, failed


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
