"""`bide cost`: what would a workload cost, and what would it cost elsewhere? Asks no server."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from decimal import Decimal
from typing import Any, Final

import msgspec

from bide.errors import SettingsError
from bide.operate.ended import Ended
from bide.prices import CHECKED, TABLE, Prices, prices, read_price, rounded
from bide.printable import printable
from bide.projection import MILLION, Item, Projection, model, project, total
from bide.retry import parse_seconds
from bide.settings import Settings
from bide.workload import Overheads, Site, Workload

_LIMIT: Final = 10**12

_EXAMPLES: Final = """\
examples:
  bide cost --tasks 10000 --wait 8h --polls 96 --active 200ms
                                              ten thousand tasks that wait overnight
  bide cost --tasks 1e6 --wait 1h --spread 1d a million of them, over a day
  bide cost --memory 256 --price lambda_gb_second=0.0000133334
  bide cost --prices                          the price table, and where it is from
"""

_OPTIONS: Final = (
    ("tasks", "N", "tasks", "tasks"),
    ("wait", "TIME", "wait_s", "what each waits in all, such as 90s, 20m, 8h or 2d"),
    ("polls", "N", "polls", "how often each is resumed to ask, or to go on; its waits, at least 1"),
    ("active", "TIME", "active_ms", "what each is active in all, its own code alone"),
    ("client-polls", "N", "client_polls", "how often its client asks for it, besides submitting it"),
    ("spread", "TIME", "spread_s", "over how long they are submitted; 0 is all at once"),
    ("memory", "MB", "memory_mb", "memory of Bide's functions (default: BIDE_MEMORY_MB)"),
    ("rival-memory", "MB", "rival_memory_mb", "memory of a function that is a task's own, elsewhere"),
    ("retention", "TIME", "retention_s", "how long a finished task is kept"),
    ("transitions", "N", "transitions", "of a Step Functions workflow for each wait"),
    ("operations", "N", "operations", "of a durable function for each wait"),
    ("payload", "KB", "payload_kb", "what each such operation writes"),
)
"""Of the workload: option, metavar, field, help."""

_LEAST: Final = {"tasks": 1, "polls": 1, "memory_mb": 128, "rival_memory_mb": 128}


class Cost:
    """The command."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        parser.description = (
            "Project what a workload costs by list prices: its requests, its work, what stands each "
            "month in any case;\nbeside it the work of the same tasks as a sleeping Lambda function, "
            f"as a Step Functions workflow\nand as a durable function.\n\n{_EXAMPLES}"
        )
        parser.epilog = "BIDE_PRICES and BIDE_MEMORY_MB are read; no server is asked. See docs/cost.md."
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        group = parser.add_argument_group("the workload")
        plain = Workload()
        for option, metavar, name, help in _OPTIONS:
            shown = "" if name == "memory_mb" else f" (default: {_default(name, getattr(plain, name))})"
            group.add_argument(
                f"--{option}", type=_reader(name), dest=name, metavar=metavar, help=help + shown
            )
        group = parser.add_argument_group("what it takes besides")
        for overhead in fields(Overheads):
            text = (
                f"{overhead.metadata['doc']} (default: {overhead.default:g}, {overhead.metadata['source']})"
            )
            group.add_argument(
                f"--{overhead.name.replace('_', '-')}", type=_number, dest=overhead.name, metavar="N",
                help=text.replace("%", "%%"),
            )  # fmt: skip
        group = parser.add_argument_group("what stands in any case")
        group.add_argument(
            "--nodes", type=_count, metavar="N", help="a store of so many nodes, not Serverless"
        )
        site = Site()
        for name, text in (
            ("endpoints", "interface endpoints"),
            ("zones", "zones that each of them is in"),
            ("nats", "NAT gateways"),
            ("shards", "shards of a stream that wakes workers"),
        ):
            group.add_argument(
                f"--{name}", type=_count, metavar="N", help=f"{text} (default: {getattr(site, name)})"
            )
        group.add_argument("--no-queue", action="store_true", help="without a wake queue")
        parser.add_argument(
            "--price", type=_price, action="append", default=[], metavar="NAME=USD", help="another price"
        )
        parser.add_argument("--prices", action="store_true", help="print the price table alone")

    def run(self, options: argparse.Namespace) -> Ended:
        """Print the projection, or the table; with --json one document."""
        try:
            settings = Settings.from_environ(os.environ)
        except SettingsError as error:
            print(printable(f"bide: {error}"), file=sys.stderr)
            return Ended.MISUSED
        table = prices((*settings.prices, *options.price))
        if options.prices:
            print(_table_document(table) if options.json else _table(table))
            return Ended.DONE
        given = {name: value for name, value in vars(options).items() if value is not None}
        workload = replace(Workload(memory_mb=settings.memory_mb), **_of(Workload, given))
        overheads = replace(Overheads(), **_of(Overheads, given))
        site = replace(Site(serverless="nodes" not in given, queue=not options.no_queue), **_of(Site, given))
        projection = project(workload, table, overheads, site)
        if options.json:
            print(_document(workload, overheads, site, table, projection))
        else:
            print(_page(workload, overheads, table, projection))
        return Ended.DONE


def _of(kind: type[Any], given: dict[str, Any]) -> dict[str, Any]:
    return {field.name: given[field.name] for field in fields(kind) if field.name in given}


# --- reading ------------------------------------------------------------------------------------


def _reader(name: str) -> Callable[[str], Any]:
    if name.endswith("_s"):
        return _seconds
    if name == "active_ms":
        return lambda text: _seconds(text) * 1000
    return _number if name == "payload_kb" else lambda text: _count(text, _LEAST.get(name, 0))


def _seconds(text: str) -> float:
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= _LIMIT:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {_LIMIT:g}")
    return number


def _count(text: str, least: int = 0) -> int:
    """A whole number; `1e6` is one too."""
    number = _number(text)
    if number != int(number) or number < least:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least}")
    return int(number)


def _price(text: str) -> tuple[str, float]:
    try:
        return read_price(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"it {error}") from error


# --- for people ---------------------------------------------------------------------------------


def _page(workload: Workload, overheads: Overheads, table: Prices, projection: Projection) -> str:
    work, million = total(projection.work), MILLION / workload.tasks
    lines = [_told(workload), "", *_block("requests of the clients", projection.requests)]
    lines += ["", *_block("work", projection.work)]
    lines += ["", *_block("each month, with or without tasks", projection.floor), ""]
    lines.append(f"{'the work, and the same elsewhere':<36}{'dollars':>16}{'per 1,000,000':>16}{'times':>10}")
    lines.append(_row("Bide", work, million, ""))
    for name, items in projection.rivals.items():
        times = f"{total(items) / work:,.1f}" if work else ""
        lines.append(_row(name, total(items), million, times))
    lines += ["", f"List prices of us-east-1, looked up {CHECKED}, without free tiers: `bide cost --prices`."]
    if table.changed:
        lines.append(f"Set otherwise: {', '.join(f'{n}={_plain(usd)}' for n, usd in table.changed.items())}.")
    lines.append(f"Elsewhere each task has a function of {workload.rival_memory_mb} MB to itself.")
    lines.append("Taken for granted:")
    for overhead in fields(Overheads):
        taken = getattr(overheads, overhead.name)
        source = overhead.metadata["source"] if taken == overhead.default else "given"
        lines.append(f"  {taken:>6g}  {overhead.metadata['doc']} ({source})")
    return "\n".join(lines)


def _told(workload: Workload) -> str:
    when = f"submitted over {_time(workload.spread_s)}" if workload.spread_s else "submitted at once"
    waits = f"{_time(workload.wait_s)} in {_many(workload.polls, 'wait')}"
    active = f"{_time(workload.active_ms / 1000)} active"
    return f"{_many(workload.tasks, 'task')}, {when}: {waits}, and {active}, each"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _block(heading: str, items: Sequence[Item]) -> list[str]:
    rows = [f"  {item.name:<34}{_dollars(item.usd):>16}  {_quantity(item)}" for item in items]
    return [f"{heading:<36}{_dollars(total(tuple(items))):>16}", *rows]


def _quantity(item: Item) -> str:
    number = f"{item.quantity:,.0f}" if item.quantity >= 100 else f"{item.quantity:.3g}"
    return f"{number} {item.unit}".rstrip()


def _row(name: str, usd: float, million: float, times: str) -> str:
    return f"  {name:<34}{_dollars(usd):>16}{_dollars(usd * million):>16}{times:>10}".rstrip()


def _dollars(usd: float) -> str:
    return f"${usd:,.2f}" if usd >= 0.01 or not usd else f"${_plain(float(f'{usd:.2g}'))}"


def _plain(usd: float) -> str:
    """Without an exponent."""
    return f"{Decimal(repr(usd)):f}"


def _time(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds * 1000:g} ms"


def _default(name: str, value: float) -> str:
    if name == "active_ms":
        return _time(value / 1000)
    return _time(value) if name.endswith("_s") else f"{value:,}"


def _table(table: Prices) -> str:
    lines = [f"List prices of us-east-1 in dollars, looked up {CHECKED}."]
    for price in TABLE:
        note = "" if price.confirmed else ", as others quote it"
        if price.name in table.changed:
            note = f"; set, listed is {_plain(price.usd)}"
        lines.append(
            f"  {price.name:<28}{_plain(table[price.name]):>14}  {price.unit} ({price.source}{note})"
        )
    return "\n".join(lines)


# --- for programs -------------------------------------------------------------------------------


def _document(
    workload: Workload, overheads: Overheads, site: Site, table: Prices, projection: Projection
) -> str:
    return _encoded(
        {
            "workload": asdict(workload),
            "overheads": asdict(overheads),
            "site": asdict(site),
            "model": model(workload, overheads)._asdict(),
            "requests": _bill(projection.requests, workload),
            "work": _bill(projection.work, workload),
            "floor_month": _bill(projection.floor),
            "elsewhere": {name: _bill(items, workload) for name, items in projection.rivals.items()},
            "prices": _listed(table),
        }
    )


def _bill(items: tuple[Item, ...], workload: Workload | None = None) -> dict[str, Any]:
    usd = total(items)
    million = {"usd_per_million_tasks": rounded(usd / workload.tasks * MILLION)} if workload else {}
    return {
        "usd": rounded(usd),
        **million,
        "items": [item._replace(usd=rounded(item.usd))._asdict() for item in items],
    }


def _listed(table: Prices) -> list[dict[str, Any]]:
    return [asdict(price) | {"listed_usd": price.usd, "usd": table[price.name]} for price in TABLE]


def _table_document(table: Prices) -> str:
    return _encoded({"checked": CHECKED, "prices": _listed(table)})


def _encoded(document: dict[str, Any]) -> str:
    return msgspec.json.encode(document).decode()


command = Cost()
