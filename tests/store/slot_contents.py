"""What a queue's slot holds, read raw and decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import redis
from msgspec.structs import replace

from bide.exchange import read_events
from bide.ids import TaskId
from bide.keys import SLOT_KEYS, Keys
from bide.records import Run, Spec, first_run, read_run, read_spec
from bide.tally import GAUGE, tally

_HASHES = (
    "meta", "specs", "runs", "journal", "inbox", "progress", "idempotency", "uniques", "attempts", "lines",
    "revived", "operations", "ledgers", "signals", "stats", "series",
)  # fmt: skip
_ZSETS = (
    "ready", "isolated", "due", "leased", "done", "ends", "dead", "log", "watched", "listeners", "workers",
    "starting",
)  # fmt: skip
BAND = 2**49
"""What each priority takes of the line."""
_STATES = ("succeeded", "failed", "cancelled", "expired")
"""By the fraction of a score of `done`, in quarters."""


@dataclass(frozen=True)
class Slot:
    """All keys of one slot. Sorted sets are dicts in the order of their scores."""

    meta: dict[str, bytes]
    specs: dict[bytes, Spec]
    runs: dict[bytes, Run]
    """Without outcomes; of each task, also where nothing has happened to it and none is stored."""
    results: dict[bytes, bytes]
    """Their outcomes."""
    ready: dict[bytes, int]
    isolated: dict[bytes, int]
    due: dict[bytes, int]
    leased: dict[bytes, int]
    done: dict[bytes, int]
    """The ids, each by the end of its retention."""
    shelved: dict[bytes, str]
    """The same ids by the state that `done` says they are in."""
    left: int
    """Places in `done` of tasks that were erased, or retried, since."""
    ends: dict[bytes, int]
    """Beside the task's place: a task with a deadline, or that may expire, stands here too."""
    journal: dict[bytes, bytes]
    """Packed entries by task and position."""
    inbox: dict[bytes, bytes]
    """How much each task has, bodies and marks: `unread` and `marks` decode a task's."""
    progress: dict[bytes, bytes]
    watched: dict[bytes, int]
    """Members of all pollers; the scores say nothing."""
    idempotency: dict[bytes, bytes]
    uniques: dict[bytes, bytes]
    attempts: dict[bytes, bytes]
    lines: dict[bytes, bytes]
    revived: dict[bytes, bytes]
    """Tasks that were retried: places that they have left stand in `done`."""
    operations: dict[bytes, bytes]
    """Packed: `bide.bulk` decodes one."""
    dead: dict[bytes, int]
    log: list[bytes]
    """Every id in the order of acceptance."""
    gauges: dict[str, int]
    """How many tasks are in a state that no index tells, where there are some."""
    listeners: dict[str, int]
    bell: int
    """Tokens."""
    workers: dict[str, int]
    ledgers: dict[str, bytes]
    """Packed: only the scripts read them."""
    signals: dict[str, bytes]
    stats: dict[str, int]
    """Sums over all days, those that are not 0."""
    series: dict[bytes, bytes]
    """Packed minutes and durations."""
    starting: dict[bytes, int]
    decisions: int
    """How many are kept."""

    def entries(self, key: bytes) -> list[bytes]:
        """A task's journal, in order."""
        return [packed for field, packed in sorted(self.journal.items()) if field[:16] == key]

    def unread(self, key: bytes) -> list[tuple[str, str]]:
        """Name and body of a task's unread events, in the order they came."""
        box = self.inbox.get(key)
        if box is None:
            return []
        bodies = {
            field[16:]: body for field, body in self.inbox.items() if len(field) == 20 and field[:16] == key
        }
        told = [box[10:], *(each for n, body in bodies.items() for each in (int.from_bytes(n, "big"), body))]
        events = read_events(told)
        assert len(events) == len(bodies), "as many bodies as there are unread events"
        count, size = int.from_bytes(box[4:6], "big"), int.from_bytes(box[6:10], "big")
        sent = [event.body or "" for event in events if not event.name.startswith("~")]
        assert (count, size) == (len(sent), sum(len(body.encode()) for body in sent)), "what is counted"
        return [(event.name, event.body or "") for event in events]

    def marks(self, key: bytes) -> list[bytes]:
        """Those of a task's events, in no order."""
        pages = [page for field, page in self.inbox.items() if len(field) == 17 and field[:16] == key]
        return [page[first : first + 32] for page in pages for first in range(0, len(page), 32)]

    def places(self, key: bytes) -> list[str]:
        """Names of the indexes in which an id stands."""
        return [name for name in ("ready", "isolated", "due", "leased", "done") if key in getattr(self, name)]


Look = Callable[..., Slot]
"""Reads a slot, `default` unless named."""


def _score(text: bytes) -> float:
    score = float(text)
    return int(score) if score == int(score) else score


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
                pipeline.zrange(key, 0, -1, withscores=True, score_cast_func=_score)
            else:
                pipeline.llen(key)
        raw: dict[str, Any] = dict(zip(names, pipeline.execute(), strict=True))
    for name in _ZSETS:
        raw[name] = dict(raw[name])
    # Places in the line count from 1 within each priority.
    for name in ("ready", "isolated"):
        raw[name] = {key: score % BAND for key, score in raw[name].items()}
    specs = {key: read_spec(packed) for key, packed in raw["specs"].items()}
    runs = {key: _run(key, spec, raw["runs"].get(key)) for key, spec in specs.items()}
    places = [
        (member[first : first + 16], score)
        for member, score in raw["done"].items()
        for first in range(4, len(member), 16)
    ]
    left = [
        (key, score)
        for key, score in places
        if key not in specs or (key in raw["revived"] and score != _shelf(runs[key]))
    ]
    shelves = [place for place in places if place not in left]
    return Slot(
        **raw
        | {name: _text(raw[name]) for name in ("meta", "listeners", "workers", "ledgers", "signals")}
        | {
            "specs": specs,
            "runs": {key: replace(run, outcome="") for key, run in runs.items()},
            "results": {key: run.outcome.encode() for key, run in runs.items() if run.outcome},
            "done": {key: int(score) for key, score in shelves},
            "shelved": {key: _STATES[int(score % 1 * 4)] for key, score in shelves},
            "left": len(left),
            "log": _log(raw["log"], raw["meta"].get(b"page", b"")[4:]),
            "stats": _sums(raw["stats"]),
            "gauges": _gauges(raw["stats"]),
        }
    )


def _run(key: bytes, spec: Spec, packed: bytes | None) -> Run:
    return read_run(packed) if packed else first_run(spec, TaskId("", key).submitted_ms)


def _shelf(run: Run) -> float:
    """The score in `done` of a task that was retried; -1 while it is unfinished."""
    if not run.finished_ms:
        return -1
    grain = max(1, run.retention_ms // 100_000 * 1_000)
    end_ms = -(-(run.finished_ms + run.retention_ms) // grain) * grain
    return end_ms + _STATES.index(run.state) / 4


def _log(pages: dict[bytes, float], open_page: bytes) -> list[bytes]:
    joined = b"".join([*sorted(pages, key=pages.__getitem__), open_page])
    return [joined[first : first + 16] for first in range(0, len(joined), 16)]


def _gauges(stats: dict[bytes, bytes]) -> dict[str, int]:
    named = {name.decode(): value for name, value in stats.items()}
    return {
        name.removeprefix(GAUGE): int(n) for name, n in named.items() if name.startswith(GAUGE) and int(n)
    }


def _sums(stats: dict[bytes, bytes]) -> dict[str, int]:
    totals = msgspec.structs.asdict(tally({"": stats}, now_ms=0).total)
    return {name: n for name, n in totals.items() if n}


def wipe(client: redis.Redis, keys: Keys, slot: str = "default") -> None:
    """Delete all keys of one slot."""
    client.delete(*keys.slot(slot, SLOT_KEYS))
