"""What the tasks of all queues came to, by queue and by day. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from bide.records import Totals

DAY_MS: Final = 86_400_000
DAYS: Final = 31
"""Days that are told apart, today's included; what is older is in the sums alone. See lua/_stats.lua."""

GAUGE: Final = "now/"
"""What the fields of `stats` begin with that tell how many tasks are in a state now."""

_unpack_day = msgspec.msgpack.Decoder(dict[str, int]).decode


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums since the store was made, and their parts."""

    total: Totals
    queues: dict[str, Totals]
    """By name, sorted."""
    days: dict[int, Totals]
    """By days since 1970 (UTC), the latest first; days on which nothing was counted are left out."""


def tally(slots: Mapping[str, Mapping[bytes, bytes]], now_ms: int) -> Tally:
    """Add up the `stats` of every slot, as they are stored. now_ms: the store's time."""
    today = now_ms // DAY_MS
    queues: dict[str, Totals] = {}
    days: dict[int, list[Totals]] = {}
    for slot, fields in sorted(slots.items()):
        by_day: dict[int, Totals] = {}
        folded: dict[str, int] = {}
        for field, value in fields.items():
            name = field.decode()
            if name[:1] == "d" and name[1:].isdigit():
                by_day[int(name[1:])] = _totals(_unpack_day(value))
            elif not name.startswith(GAUGE):
                folded[name] = int(value)
        queues[slot] = _sum([_totals(folded), *by_day.values()])
        for day, totals in by_day.items():
            if day > today - DAYS:
                days.setdefault(day, []).append(totals)
    return Tally(
        _over_queues(queues.values()),
        queues,
        {day: _over_queues(days[day]) for day in sorted(days, reverse=True)},
    )


def _totals(sums: Mapping[str, int]) -> Totals:
    """Sums that a later version may have added are left out."""
    return Totals(**{name: n for name, n in sums.items() if name in Totals.__struct_fields__})


def _sum(parts: Iterable[Totals]) -> Totals:
    rows = [msgspec.structs.astuple(part) for part in parts]
    return Totals(*map(sum, zip(*rows, strict=True))) if rows else Totals()


def _over_queues(queues: Iterable[Totals]) -> Totals:
    """Every worker takes its turn at every queue, and is counted there: their number is that of one queue."""
    found = list(queues)
    starts = max((totals.starts for totals in found), default=0)
    return msgspec.structs.replace(_sum(found), starts=starts)
