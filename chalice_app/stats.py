"""The JSON form of the totals, and of their dollars. Pure."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import msgspec

from bide.prices import Tariff
from bide.records import Totals
from bide.tally import Tally

_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1))
"""In milliseconds, the largest first."""

_encode = msgspec.json.Encoder().encode


def stats_json(tally: Tally, tariff: Tariff) -> bytes:
    """The body that shows the totals, by queue and by day too. docs/http-api.md describes each field."""
    total = tally.total
    waited, billed = duration_text(total.waited_ms), duration_text(total.billed_us / 1000)
    return _encode(
        {
            **_of_tasks(total, tariff),
            **_of_workers(total, tariff),
            "memory_mb": tariff.memory_mb,
            "summary": f"waited {waited}, billed {billed}",
            "queues": [{"queue": name, **_of_tasks(part, tariff)} for name, part in tally.queues.items()],
            "days": [
                {"day": _day_text(day), **_of_tasks(part, tariff), **_of_workers(part, tariff)}
                for day, part in tally.days.items()
            ],
        }
    )


def _of_tasks(totals: Totals, tariff: Tariff) -> dict[str, object]:
    """What the tasks came to."""
    return {
        "tasks": {
            "succeeded": totals.succeeded,
            "failed": totals.failed,
            "cancelled": totals.cancelled,
            "expired": totals.expired,
        },
        "waited_ms": totals.waited_ms,
        "billed_ms": round(totals.billed_us / 1000, 3),
        "replays": totals.replays,
        "polls": totals.polls,
        "poller_calls": totals.calls,
        "cost_usd": tariff.cost(totals.billed_us),
    }


def _of_workers(totals: Totals, tariff: Tariff) -> dict[str, object]:
    """What the workers came to, which all queues share."""
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
