"""The JSON form of the totals. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from bide.records import Totals

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
    replays: int
    polls: int
    poller_calls: int
    summary: str


def stats_json(totals: Totals) -> bytes:
    """The body that shows the totals."""
    billed_ms = totals.billed_us / 1000
    return _encode(
        StatsJson(
            tasks=EndedJson(totals.succeeded, totals.failed, totals.cancelled, totals.expired),
            waited_ms=totals.waited_ms,
            billed_ms=round(billed_ms, 3),
            worker_ms=totals.worker_ms,
            replays=totals.replays,
            polls=totals.polls,
            poller_calls=totals.calls,
            summary=f"waited {duration_text(totals.waited_ms)}, billed {duration_text(billed_ms)}",
        )
    )


def duration_text(ms: float) -> str:
    """Milliseconds for people: two significant digits, in the largest unit of which it has one at least."""
    counts = [(float(f"{ms / size:.2g}"), unit) for unit, size in _UNITS]
    count, unit = next((shown for shown in counts if shown[0] >= 1), counts[-1])
    return f"{count:.0f} {unit}" if count >= 10 else f"{count:g} {unit}"
