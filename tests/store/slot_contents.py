"""What a queue's slot holds, read raw and decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import redis

from bide.exchange import read_events
from bide.keys import SLOT_KEYS, Keys
from bide.records import Run, Spec
from bide.tally import tally

_HASHES = (
    "meta", "specs", "runs", "results", "journal", "inbox", "progress", "idempotency", "ledgers", "signals",
    "stats",
)  # fmt: skip
_ZSETS = ("ready", "isolated", "due", "leased", "done", "ends", "watched", "listeners", "workers", "starting")


@dataclass(frozen=True)
class Slot:
    """All keys of one slot. Sorted sets are dicts in the order of their scores."""

    meta: dict[str, bytes]
    specs: dict[bytes, Spec]
    runs: dict[bytes, Run]
    results: dict[bytes, bytes]
    ready: dict[bytes, int]
    isolated: dict[bytes, int]
    due: dict[bytes, int]
    leased: dict[bytes, int]
    done: dict[bytes, int]
    ends: dict[bytes, int]
    """Beside the task's place: a task with a deadline, or that may expire, stands here too."""
    journal: dict[bytes, bytes]
    """Packed entries by task and position."""
    inbox: dict[bytes, bytes]
    """Packed: `unread` decodes one."""
    progress: dict[bytes, bytes]
    watched: dict[bytes, int]
    """Members of all pollers; the scores say nothing."""
    idempotency: dict[bytes, bytes]
    listeners: dict[str, int]
    bell: int
    """Tokens."""
    workers: dict[str, int]
    ledgers: dict[str, bytes]
    """Packed: only the scripts read them."""
    signals: dict[str, bytes]
    stats: dict[str, int]
    """Sums over all days, those that are not 0."""
    starting: dict[bytes, int]
    decisions: int
    """How many are kept."""

    def entries(self, key: bytes) -> list[bytes]:
        """A task's journal, in order."""
        return [packed for field, packed in sorted(self.journal.items()) if field[:16] == key]

    def unread(self, key: bytes) -> list[tuple[str, str]]:
        """Name and body of a task's unread events, in the order they came."""
        return [(event.name, event.body) for event in read_events(self.inbox.get(key))]

    def places(self, key: bytes) -> list[str]:
        """Names of the indexes in which an id stands."""
        return [name for name in ("ready", "isolated", "due", "leased", "done") if key in getattr(self, name)]


Look = Callable[..., Slot]
"""Reads a slot, `default` unless named."""


def _text(mapping: dict[bytes, Any]) -> dict[str, Any]:
    return {name.decode(): value for name, value in mapping.items()}


def read_slot(client: redis.Redis, keys: Keys, slot: str = "default") -> Slot:
    """Everything in one slot, in one transaction."""
    names = dict(zip(SLOT_KEYS, keys.slot(slot, SLOT_KEYS), strict=True))
    with client.pipeline() as pipeline:
        for name, key in names.items():
            if name in _HASHES:
                pipeline.hgetall(key)
            elif name in _ZSETS:
                pipeline.zrange(key, 0, -1, withscores=True, score_cast_func=lambda score: int(float(score)))
            else:
                pipeline.llen(key)
        raw: dict[str, Any] = dict(zip(names, pipeline.execute(), strict=True))
    decode = msgspec.msgpack.decode
    for name in _ZSETS:
        raw[name] = dict(raw[name])
    return Slot(
        **raw
        | {name: _text(raw[name]) for name in ("meta", "listeners", "workers", "ledgers", "signals")}
        | {
            "specs": {key: decode(packed, type=Spec) for key, packed in raw["specs"].items()},
            "runs": {key: decode(packed, type=Run) for key, packed in raw["runs"].items()},
            "stats": _sums(raw["stats"]),
        }
    )


def _sums(stats: dict[bytes, bytes]) -> dict[str, int]:
    totals = msgspec.structs.asdict(tally({"": stats}, now_ms=0).total)
    return {name: n for name, n in totals.items() if n}


def wipe(client: redis.Redis, keys: Keys, slot: str = "default") -> None:
    """Delete all keys of one slot."""
    client.delete(*keys.slot(slot, SLOT_KEYS))
