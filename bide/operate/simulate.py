"""`bide scaling simulate`: what would the autoscaler, or another's, make of these arrivals?"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from bide.autoscaler import Limits
from bide.operate.amounts import duration, number, page, whole
from bide.operate.ended import Ended
from bide.printable import printable
from bide.simulation import catalogue, plot
from bide.simulation.bound import Bound, bound
from bide.simulation.catalogue import Setup
from bide.simulation.fleet import Costs
from bide.simulation.outcome import Outcome
from bide.simulation.product import Life
from bide.simulation.series import series
from bide.simulation.trace import Trace, TraceError, read
from bide.simulation.workload import MOST_ARRIVALS, Workload, workload

_EPILOG: Final = """\
TRACE is a CSV file, a heading is allowed: `timestamp,arrivals` a row, or the time of one arrival a row.
A timestamp is a number of seconds, or as in 2026-01-31T12:00:00. No server is asked, no setting is read.

examples:
  bide scaling simulate arrivals.csv --concurrency 20 --plot plot.html
  bide scaling simulate arrivals.csv --from 3d --hours 48 --scale 5 --rule hirefire
"""


class Scaling:
    """The command."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        parser.description = "Try the autoscaler out."
        verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
        simulate = verbs.add_parser(
            "simulate",
            help="replay an arrivals file through the autoscaler's own code",
            description="Replay an arrivals file through the autoscaler's own code: start delays, "
            "worker-seconds over the least possible, cold starts and hand-overs.",
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        simulate.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON document"
        )
        _add_trace(simulate)
        _add_workers(simulate)

    def run(self, options: argparse.Namespace) -> Ended:
        """Print what came of it; with --json one document."""
        if options.max < options.min:
            return _misused(f"--max ({options.max}) must not be below --min ({options.min})")
        try:
            trace = read(options.trace)
        except OSError as error:
            return _misused(f"cannot read {options.trace}: {error.strerror}")
        except TraceError as error:
            return _misused(f"{options.trace}: {error}")
        try:
            tasks = _tasks(trace, options)
        except TraceError as error:
            return _misused(str(error))
        setup = _setup(options)
        outcome = catalogue.RULES[options.rule].run(tasks, setup)
        report = _report(outcome, bound(tasks, options.concurrency), options)
        if options.plot:
            facts = [(name, value) for name, value in _lines(report) if name != "plot"]
            data = series(tasks, outcome, options.concurrency, plot.SPANS)
            try:
                options.plot.write_text(
                    plot.page(options.trace.name, report["rule"]["title"], facts, data), encoding="utf-8"
                )
            except OSError as error:
                return _misused(f"cannot write {options.plot}: {error.strerror}")
        if options.json:
            print(msgspec.json.encode(report).decode())
        else:
            print("\n".join(f"{name:<16}{value}" for name, value in _lines(report)))
        return Ended.DONE


def _add_trace(parser: argparse.ArgumentParser) -> None:
    tasks = parser.add_argument_group("tasks")
    tasks.add_argument("trace", metavar="TRACE", type=Path, help="the arrivals file")
    tasks.add_argument(
        "--from", dest="start", type=duration, default=0.0, metavar="TIME",
        help="leave out what comes before, such as 3d (default: 0)",
    )  # fmt: skip
    tasks.add_argument(
        "--hours",
        type=number(0, positive=True),
        default=math.inf,
        metavar="N",
        help="only so many (default: all)",
    )
    tasks.add_argument(
        "--scale", type=number(0, 1000, positive=True), default=1.0, metavar="N",
        help="arrivals for each one of the file (default: 1)",
    )  # fmt: skip
    tasks.add_argument(
        "--hold", type=number(0, positive=True), default=60.0, metavar="SECONDS",
        help="how long a task holds its place on average (default: 60)",
    )  # fmt: skip
    tasks.add_argument(
        "--hold-cv", type=number(0, 10), default=0.5, metavar="N",
        help="the holds' standard deviation over their mean; they are lognormal (default: 0.5)",
    )  # fmt: skip
    tasks.add_argument(
        "--seed",
        type=whole(0),
        default=1,
        metavar="N",
        help="of arrivals within a row, and holds (default: 1)",
    )


def _add_workers(parser: argparse.ArgumentParser) -> None:
    workers = parser.add_argument_group("workers")
    rules = ", ".join(catalogue.RULES)
    workers.add_argument(
        "--rule", choices=catalogue.RULES, default=catalogue.PRODUCT, metavar="NAME",
        help=f"when workers start and leave, one of: {rules} (default: {catalogue.PRODUCT})",
    )  # fmt: skip
    workers.add_argument(
        "--concurrency", type=whole(1), default=100, metavar="N", help="places of each worker (default: 100)"
    )
    workers.add_argument(
        "--cold-start", type=number(0), default=catalogue.COLD_START_S, metavar="SECONDS",
        help=f"from a worker's start until it takes tasks (default: {catalogue.COLD_START_S:g}, "
        f"{catalogue.COLD_START_SOURCE})",
    )  # fmt: skip
    workers.add_argument(
        "--move-ms", type=number(0), default=catalogue.MOVE_S * 1000, metavar="MS",
        help="what a handed-over task costs the old worker, and the new one again "
        f"(default: {catalogue.MOVE_S * 1000:g}, {catalogue.MOVE_SOURCE})",
    )  # fmt: skip
    workers.add_argument(
        "--leave-ms", type=number(0), default=catalogue.LEAVE_S * 1000, metavar="MS",
        help="what it takes a worker to leave, besides moving tasks "
        f"(default: {catalogue.LEAVE_S * 1000:g}, {catalogue.LEAVE_SOURCE})",
    )  # fmt: skip
    bide = parser.add_argument_group(f"workers of the rule {catalogue.PRODUCT}")
    bide.add_argument("--min", type=whole(0), default=0, metavar="N", help="workers at least (default: 0)")
    bide.add_argument(
        "--max", type=whole(1), default=catalogue.MOST_WORKERS, metavar="N",
        help=f"workers at most (default: {catalogue.MOST_WORKERS})",
    )  # fmt: skip
    bide.add_argument(
        "--idle", type=number(0), default=catalogue.IDLE_S, metavar="SECONDS",
        help=f"how long a worker without tasks lingers (default: {catalogue.IDLE_S:g})",
    )  # fmt: skip
    bide.add_argument(
        "--life", type=number(0, positive=True), default=catalogue.LIFE_S, metavar="SECONDS",
        help=f"how long a worker works before it hands over (default: {catalogue.LIFE_S:g})",
    )  # fmt: skip
    bide.add_argument(
        "--tick", type=number(0, positive=True), default=catalogue.TICK_S, metavar="SECONDS",
        help=f"what ticks are apart (default: {catalogue.TICK_S:g})",
    )  # fmt: skip
    bide.add_argument("--no-parking", action="store_true", help="tasks cannot move to another worker")
    parser.add_argument("--plot", type=page, metavar="FILE.html", help="write a page with a drawing")


def _tasks(trace: Trace, options: argparse.Namespace) -> Workload:
    """Raises TraceError when nothing is left to simulate, or more than can be."""
    part = trace.part(options.start, options.hours * 3600)
    expected = options.scale * sum(count for _, count in part.rows)
    if expected > MOST_ARRIVALS:
        raise TraceError(
            f"{options.trace} has {expected:,.0f} arrivals by --from, --hours and --scale, and at most "
            f"{MOST_ARRIVALS:,} can be simulated: take fewer hours with --hours, or a share of the arrivals "
            f"with --scale, such as --scale {_share(MOST_ARRIVALS / expected * options.scale):g}"
        )
    tasks = workload(part, scale=options.scale, mean=options.hold, cv=options.hold_cv, seed=options.seed)
    if not tasks.arrivals:
        raise TraceError("no arrival is left by --from, --hours and --scale")
    return tasks


def _share(most: float) -> float:
    """A scale below this one, with one digit to type."""
    unit: float = 10.0 ** math.floor(math.log10(most))
    return math.floor(most / unit) * unit


def _setup(options: argparse.Namespace) -> Setup:
    move_s = options.move_ms / 1000
    return Setup(
        Limits(options.min, options.max, options.concurrency),
        Costs(options.cold_start, move_s, move_s, options.leave_ms / 1000),
        Life(options.idle, options.life),
        parking=not options.no_parking,
        tick_s=options.tick,
    )


def _report(outcome: Outcome, least: Bound, options: argparse.Namespace) -> dict[str, Any]:
    """What --json prints. Times are in seconds."""
    ordered = sorted(outcome.delays)
    delayed = sum(delay > 0 for delay in ordered)
    return {
        "trace": str(options.trace),
        "tasks": {
            "count": len(ordered),
            "most_at_once": least.most_running,
            "hold_mean": options.hold,
            "hold_cv": options.hold_cv,
            "scale": options.scale,
            "seed": options.seed,
        },
        "rule": {
            "name": options.rule,
            "title": catalogue.RULES[options.rule].title,
            "concurrency": options.concurrency,
            "parking": options.rule == catalogue.PRODUCT and not options.no_parking,
            "min": options.min,
            "max": options.max,
            "idle": options.idle,
            "life": options.life,
        },
        "costs": {
            "cold_start": options.cold_start,
            "cold_start_source": _source(
                options.cold_start, catalogue.COLD_START_S, catalogue.COLD_START_SOURCE
            ),
            "move": options.move_ms / 1000,
            "move_source": _source(options.move_ms, catalogue.MOVE_S * 1000, catalogue.MOVE_SOURCE),
            "leave": options.leave_ms / 1000,
            "leave_source": _source(options.leave_ms, catalogue.LEAVE_S * 1000, catalogue.LEAVE_SOURCE),
        },
        "delay": {
            "p50": outcome.delay(0.5),
            "p99": outcome.delay(0.99),
            "max": ordered[-1],
            "delayed_share": delayed / len(ordered),
        },
        "worker_seconds": outcome.worker_seconds,
        "bound": least.worker_seconds,
        "over_bound": outcome.worker_seconds / least.worker_seconds,
        "cold_starts": outcome.starts,
        "peak_workers": outcome.peak,
        "peak_bound": least.peak,
        "handed_over": outcome.handed_over,
        "moved": outcome.moved,
        "longest_move": outcome.longest_move,
        "plot": str(options.plot) if options.plot else None,
    }


def _lines(report: dict[str, Any]) -> list[tuple[str, str]]:
    """What is printed for people: names and values."""
    tasks, rule, costs, delay = report["tasks"], report["rule"], report["costs"], report["delay"]
    limits = f"; {rule['min']} to {rule['max']} workers, idle {rule['idle']:g} s, life {rule['life']:g} s"
    own = (
        f"{limits}; {'parking' if rule['parking'] else 'no parking'}"
        if rule["name"] == catalogue.PRODUCT
        else ""
    )
    lines = [
        ("trace", f"{report['trace']}: {tasks['count']:,} tasks, at most {tasks['most_at_once']:,} at once"),
        ("holds", f"{tasks['hold_mean']:g} s on average, cv {tasks['hold_cv']:g}; seed {tasks['seed']}"),
        ("rule", f"{rule['name']}: {rule['title']}; {rule['concurrency']} places a worker{own}"),
        ("cold start", f"{costs['cold_start']:g} s ({costs['cold_start_source']})"),
        ("move of a task", f"{costs['move'] * 1000:g} ms ({costs['move_source']})"),
        ("leaving", f"{costs['leave'] * 1000:g} ms ({costs['leave_source']})"),
        ("start delay", f"p50 {delay['p50']:.3g} s, p99 {delay['p99']:.3g} s, max {delay['max']:.3g} s; "
         f"{delay['delayed_share']:.1%} of the tasks waited"),
        ("worker-seconds", f"{report['worker_seconds']:,.0f}, {report['over_bound']:.3f}x the bound of "
         f"{report['bound']:,.0f} (no delay, free moves, no cold start)"),
        ("workers", f"at most {report['peak_workers']}; the bound has at most {report['peak_bound']}"),
        ("cold starts", f"{report['cold_starts']:,}"),
        ("hand-overs", f"{report['handed_over']:,} workers, {report['moved']:,} tasks moved; "
         f"the longest stood still for {report['longest_move']:.3g} s"),
    ]  # fmt: skip
    return [*lines, ("plot", report["plot"])] if report["plot"] else lines


def _source(value: float, default: float, source: str) -> str:
    return source if value == default else "as told"


def _misused(message: str) -> Ended:
    print(printable(f"bide: {message}"), file=sys.stderr)
    return Ended.MISUSED


command = Scaling()
