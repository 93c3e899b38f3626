"""What people read: a task, the server's state, its totals; all of it printable. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from bide_client.printable import printable, printable_json
from bide_client.status import ServerStatus, Stats, StatsPart, TaskStatus


def document(json_object: Mapping[str, Any]) -> str:
    """One JSON document on one line, in ASCII, for programs."""
    return json.dumps(json_object)


def value(result: Any) -> str:
    """A result or arguments, as JSON that people can read."""
    return printable_json(json.dumps(result, ensure_ascii=False, indent=2))


def task(status: TaskStatus) -> str:
    """A task in a few lines: what it is, how far it came, what came of it."""
    rows = [
        ("task", status.name),
        ("state", status.state),
        ("queue", status.queue),
        ("priority", str(status.priority or "")),
        ("tags", " ".join(status.tags)),
        ("unique", status.unique or ""),
        ("attempt", f"{status.attempt} of {status.max_attempts}"),
        ("args", _brief(status.args)),
        ("submitted", time(status.submitted_at)),
        ("run at", time(status.run_at)),
        ("expires", time(status.expires_at)),
        ("started", time(status.started_at)),
        ("finished", _finished(status)),
        ("progress", progress(status.progress)),
        ("waited", _waited(status)),
        ("billed", _billed(status)),
    ]
    if status.state == "succeeded":
        rows.append(("result", value(status.result)))
    if status.error is not None:
        rows.append(("error", f"{status.error.get('code', '')}: {status.error.get('message', '')}"))
        rows.append(("traceback", str(status.error.get("traceback") or "").rstrip()))
    lines = [status.id]
    for label, text in rows:
        if text:
            lines.append(f"  {label:<10}{_indented(text)}")
    return printable("\n".join(lines))


def stats(totals: Stats) -> str:
    """What all tasks came to: the summary, the figures, and the dollars of each queue and day."""
    rows = [
        ("succeeded", str(totals.succeeded)),
        ("failed", str(totals.failed)),
        ("cancelled", str(totals.cancelled)),
        ("expired", str(totals.expired)),
        ("waited", _seconds(totals.waited_ms)),
        ("billed", _seconds(totals.billed_ms)),
        ("workers", f"{_seconds(totals.worker_ms)}  ({totals.worker_starts} started)"),
        ("replays", str(totals.replays)),
        ("polls", f"{totals.polls} ({totals.poller_calls} calls of shared pollers)"),
        ("cost", f"{dollars(totals.cost_usd)} of {dollars(totals.paid_usd)} paid for workers"),
    ]
    lines = [totals.summary, *(f"  {label:<10}{text}" for label, text in rows)]
    lines += _aligned(_parts("queue", totals.queues) + _parts("day", totals.days))
    return printable("\n".join(lines))


def _parts(kind: str, parts: Sequence[StatsPart]) -> list[tuple[str, ...]]:
    """A row for each queue or day, below a heading; empty without any."""
    rows: list[tuple[str, ...]] = [
        (kind, "ended", "waited", "billed", "cost", "paid" if kind == "day" else "")
    ]
    for part in parts:
        paid = "" if part.paid_usd is None else dollars(part.paid_usd)
        times = _seconds(part.waited_ms), _seconds(part.billed_ms)
        rows.append((part.name, str(part.ended), *times, dollars(part.cost_usd), paid))
    return rows if parts else []


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines whose cells stand below one another: names, then figures."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(["", row[0].ljust(wide[0]), *map(str.rjust, row[1:], wide[1:])]).rstrip() for row in rows
    ]


def dollars(usd: float) -> str:
    """Cents where there are some, else two significant digits."""
    return f"${usd:,.2f}" if usd >= 0.01 else f"${Decimal(f'{usd:.2g}'):f}"


def server(status: ServerStatus) -> str:
    """Whether the server accepts submissions, in one line."""
    since = f" since {time(status.changed_at)}" if status.changed_at else ""
    known = "" if status.left is None else f"; {left(status.left)}"
    if status.accepting:
        return f"accepting submissions{since} (epoch {status.epoch}){known}"
    hint = f", retry after {status.retry_after} s" if status.retry_after else ""
    reason = f": {status.reason}" if status.reason else ""
    return printable(f"closed for submissions{since} (epoch {status.epoch}{hint}){reason}{known}")


def left(tasks: int) -> str:
    """How many tasks are not done yet."""
    return f"{counted(tasks, 'task')} left"


def counted(number: int, noun: str) -> str:
    """So many of them: "1 task", "1,200 tasks"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def rate(number: float) -> str:
    """How many of something in a time: tenths where there are whole ones, else two digits."""
    return f"{number:,.1f}" if number >= 1 or not number else f"{number:.2g}"


def span(ms: float | None) -> str:
    """A duration in about three digits: "850 ms", "12.3 s", "4 min 10 s", "3 h 5 min", "2 d 4 h"."""
    if ms is None:
        return ""
    if ms < 1000:
        return f"{ms:.0f} ms" if ms >= 10 or ms == int(ms) else f"{ms:.1f} ms"
    seconds = ms / 1000
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, part, of in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {of}" if rest else "")
    return f"{whole} s"


def _brief(args: Mapping[str, Any]) -> str:
    return printable_json(json.dumps(args, ensure_ascii=False)) if args else ""


def _indented(text: str) -> str:
    return text.replace("\n", "\n" + " " * 12)


def progress(said: Mapping[str, Any] | None) -> str:
    """What a task said of how far it is: "40%  almost there"; empty when it said nothing."""
    if not said:
        return ""
    fraction, message = said.get("fraction"), said.get("message")
    done = f"{fraction:.0%}" if isinstance(fraction, int | float) else ""
    return "  ".join(filter(None, (done, str(message or ""))))


def _waited(status: TaskStatus) -> str:
    counts = [counted(status.replays, "replay")] if status.replays else []
    counts += [counted(status.polls, "poll")] if status.polls else []
    if not (status.waited_ms or counts):
        return ""
    return _seconds(status.waited_ms) + (f"  ({', '.join(counts)})" if counts else "")


def _seconds(ms: float) -> str:
    return f"{ms / 1000:.3f} s"


def _billed(status: TaskStatus) -> str:
    if not status.billed_ms:
        return ""
    return _seconds(status.billed_ms) + (f"  ({dollars(status.cost_usd)})" if status.cost_usd else "")


def _finished(status: TaskStatus) -> str:
    if status.finished_at is None or status.started_at is None:
        return time(status.finished_at)
    took = (status.finished_at - status.started_at).total_seconds()
    return f"{time(status.finished_at)}  ({took:.3f} s after its start)"


def time(moment: datetime | None) -> str:
    """A time in UTC, with milliseconds; empty without one."""
    return "" if moment is None else moment.isoformat(" ", "milliseconds").replace("+00:00", "Z")
