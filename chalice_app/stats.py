"""The JSON form of the totals, and of their dollars. Pure."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

import msgspec

from bide.prices import Tariff
from bide.records import Totals
from bide.tally import Tally

_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1))
"""In milliseconds, the largest first."""

_encode = msgspec.json.Encoder().encode


class EndedJson(msgspec.Struct, frozen=True):
    """How many tasks ended in each way."""

    succeeded: int
    failed: int
    cancelled: int
    expired: int


class StatsJson(msgspec.Struct, frozen=True):
    """The totals on the wire. docs/http-api.md describes each field."""

    tasks: EndedJson
    waited_ms: int
    billed_ms: float
    worker_ms: int
    worker_starts: int
    replays: int
    polls: int
    poller_calls: int
    cost_usd: float
    paid_usd: float
    memory_mb: int
    summary: str
    queues: list[QueueJson]
    days: list[DayJson]


class QueueJson(msgspec.Struct, frozen=True):
    """The sums of one queue's tasks. Workers are shared by all queues."""

    queue: str
    tasks: EndedJson
    waited_ms: int
    billed_ms: float
    replays: int
    polls: int
    poller_calls: int
    cost_usd: float


class DayJson(msgspec.Struct, frozen=True):
    """The sums of one day, in UTC."""

    day: str
    tasks: EndedJson
    waited_ms: int
    billed_ms: float
    worker_ms: int
    worker_starts: int
    replays: int
    polls: int
    poller_calls: int
    cost_usd: float
    paid_usd: float


def stats_json(tally: Tally, tariff: Tariff) -> bytes:
    """The body that shows the totals, by queue and by day too."""
    total = tally.total
    waited, billed = duration_text(total.waited_ms), duration_text(total.billed_us / 1000)
    return _encode(
        StatsJson(
            **_sums(total, tariff),
            **_workers(total, tariff),
            memory_mb=tariff.memory_mb,
            summary=f"waited {waited}, billed {billed}",
            queues=[QueueJson(queue=name, **_sums(part, tariff)) for name, part in tally.queues.items()],
            days=[
                DayJson(day=_day_text(day), **_sums(part, tariff), **_workers(part, tariff))
                for day, part in tally.days.items()
            ],
        )
    )


def _sums(totals: Totals, tariff: Tariff) -> dict[str, Any]:
    """What the tasks came to."""
    return {
        "tasks": EndedJson(totals.succeeded, totals.failed, totals.cancelled, totals.expired),
        "waited_ms": totals.waited_ms,
        "billed_ms": round(totals.billed_us / 1000, 3),
        "replays": totals.replays,
        "polls": totals.polls,
        "poller_calls": totals.calls,
        "cost_usd": tariff.cost(totals.billed_us),
    }


def _workers(totals: Totals, tariff: Tariff) -> dict[str, Any]:
    """What the workers came to."""
    return {
        "worker_ms": totals.worker_ms,
        "worker_starts": totals.starts,
        "paid_usd": tariff.paid(totals.worker_ms, totals.starts),
    }


def _day_text(day: int) -> str:
    """A day since 1970 as RFC 3339 writes its date."""
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def duration_text(ms: float) -> str:
    """Milliseconds for people: two significant digits, in the largest unit of which it has one at least."""
    counts = [(float(f"{ms / size:.2g}"), unit) for unit, size in _UNITS]
    count, unit = next((shown for shown in counts if shown[0] >= 1), counts[-1])
    return f"{count:.0f} {unit}" if count >= 10 else f"{count:g} {unit}"
