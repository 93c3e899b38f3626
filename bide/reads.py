"""Reads from the store: what changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide import scripts
from bide.autoscaler import Seen
from bide.connection import sound
from bide.depth import Depth
from bide.errors import TaskNotFound
from bide.exchange import Event, read_events
from bide.ids import TaskId
from bide.line import Line, read_line
from bide.poller import Poller, Watcher, read_watcher
from bide.records import Decided, TaskView, Totals, first_run, read_recent, read_run, read_spec
from bide.state import State
from bide.store import Store
from bide.tally import Tally, tally

if TYPE_CHECKING:
    from bide.history import History

_decided = msgspec.msgpack.Decoder(Decided).decode


_PAGE: Final = 1_000
"""Members that one read of an index takes."""


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """What the store says of itself."""

    server: str
    """`valkey` or `redis`."""
    version: str
    durability: str
    """`aof` (how often it is synced, the store does not tell), `rdb`, or `none`."""
    ping_ms: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """The workers of one queue."""

    seen: Seen
    packed: tuple[bytes, ...]
    """The decisions as they are stored: most who ask for a fleet want none of them."""

    @property
    def decisions(self) -> tuple[Decided, ...]:
        """What was decided lately, the latest first."""
        return tuple(map(_decided, self.packed))


@dataclass(frozen=True, slots=True)
class LogPage:
    """A page of a task's log."""

    lines: tuple[tuple[int, Line], ...]
    """With their numbers, in order."""
    next: int
    """The number of the last line that has been read with it."""
    dropped: int
    """Lines before these, after those read before, that are not kept any more."""
    done: bool
    """Whether the task is done."""


class Reads:
    """Questions to the store. Every one may raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def task(self, id: TaskId, tenant: str) -> TaskView:
        """The task as it stands, in one round trip.

        Raises TaskNotFound when there is none, or it belongs to another tenant.
        """
        script = scripts.load("show")
        reply = script.run(self._store.client, self._store.keys.slot(id.slot, script.keys), id.key)
        view = _view(id, tenant, reply)
        if view is None:
            raise TaskNotFound
        return view

    def tasks(self, ids: Sequence[TaskId], tenant: str) -> dict[TaskId, TaskView]:
        """The same of several, in one round trip; those that there are not are left out."""
        replies = sound(self._store.slot_scripts("show", [(id.slot, (id.key,)) for id in ids]))
        views = {id: _view(id, tenant, reply) for id, reply in zip(ids, replies, strict=True)}
        return {id: view for id, view in views.items() if view is not None}

    def lines(self, id: TaskId, tenant: str, after: int, most: int) -> LogPage:
        """Up to `most` (at most 100) lines of a task's log that follow the one numbered `after`.

        Raises TaskNotFound, also when it belongs to another tenant.
        """
        done, last, first, *found = self._store.slot_script("lines", id.slot, id.key, tenant, after, most)
        lines = tuple((first + i, read_line(packed)) for i, packed in enumerate(found) if packed is not None)
        return LogPage(lines, max(after, min(last, first + len(found) - 1)), first - after - 1, done == 1)

    def depth(self, slot: str) -> Depth:
        """How many tasks of a queue are in each state, for how long the first of them has waited, and whether
        the queue is paused. One round trip.
        """
        return self.depths((slot,))[slot]

    def depths(self, slots: Iterable[str]) -> dict[str, Depth]:
        """The same of each of these queues. One round trip."""
        now_ms = self._store.now_ms()
        return {slot: _depth(told, now_ms) for slot, told in self._store.each_slot("depth", slots).items()}

    def attempts(self, id: TaskId, tenant: str) -> History:
        """What the task's attempts came to. Raises TaskNotFound."""
        from bide.history import read_history  # few ask for it

        reply = self._store.slot_script("history", id.slot, id.key)
        if not reply or (spec := read_spec(reply[0])).tenant != tenant:
            raise TaskNotFound
        run = read_run(reply[1]) if reply[1] else first_run(spec, id.submitted_ms)
        return read_history(run, reply[2])

    def totals(self) -> Totals:
        """What all tasks of all queues came to. Two round trips."""
        return self.tally().total

    def tally(self, queues: Iterable[str] = ()) -> Tally:
        """The same by queue and by day, too.

        queues: to look at besides those that ever had a task. A worker looks at all that it knows, and
            reports its life to whichever it comes to first.
        """
        slots = {*self._store.slots(), *queues}
        return tally(self._store.fields_of_slots("stats", slots), self._store.now_ms())

    def series(self, slots: Sequence[str], minutes: int) -> dict[str, dict[int, bytes]]:
        """The last so many minutes in which something happened, packed; `bide.series` reads them.

        By queue, and by minutes since 1970. One round trip.
        """
        last = self._store.now_ms() // 60_000
        asked = range(last - minutes + 1, last + 1)
        fields = [f"m{minute}" for minute in asked]
        keys = [self._store.keys.slot(slot, ("series",))[0] for slot in slots]
        packed = self._store.commands([("HMGET", key, *fields) for key in keys])
        return {
            slot: {minute: value for minute, value in zip(asked, values, strict=True) if value is not None}
            for slot, values in zip(slots, packed, strict=True)
        }

    def fleet(self, slot: str) -> Fleet:
        """What the autoscaler sees of a queue, and what was decided lately. One round trip."""
        return self.fleets((slot,))[slot]

    def fleets(self, slots: Iterable[str]) -> dict[str, Fleet]:
        """The same of each of these queues. One round trip."""
        told = self._store.each_slot("fleet", slots, self._store.now_ms())
        return {slot: Fleet(Seen(*seen), tuple(decisions)) for slot, (*seen, decisions) in told.items()}

    def unread_events(self, id: TaskId, name: str) -> tuple[Event, ...]:
        """A task's unread events in the order they came, those of that name with their bodies."""
        events = read_events(self._store.slot_script("unread", id.slot, id.key, name))
        return tuple(event for event in events if event.body is not None or event.name != name)

    def watchers(self, poller: Poller) -> list[Watcher]:
        """Everybody who waits for a poller, in the order of their keys."""
        key = self._store.keys.slot(poller.queue, ("watched",))[0]
        found: list[Watcher] = []
        after = f"[{poller.name}\0".encode()
        while True:
            page = self._store.command("ZRANGE", key, after, f"({poller.name}\1", "BYLEX", "LIMIT", 0, _PAGE)
            found.extend(read_watcher(member) for member in page)
            if len(page) < _PAGE:
                return found
            after = b"(" + page[-1]

    def awaiting(self, slot: str, waits: Sequence[tuple[bytes, int]]) -> str:
        """For each task (id, attempt) "1" while it may want a poller's answer, else "0". At most BATCH."""
        answers: bytes = self._store.slot_script("awaiting", slot, *chain.from_iterable(waits))
        return answers.decode()

    def health(self) -> StoreHealth:
        """Reach the store, and ask what would survive its death."""
        from bide.store_info import StoreInfo  # no request but this one needs it

        local = self._store.clock.local
        before = local()
        self._store.command("PING")
        ping_ms = (local() - before) * 1000
        info = StoreInfo.of(self._store.command("INFO", "server", "persistence"))
        return StoreHealth(info.server, info.version, info.durability, round(ping_ms, 3))


def _view(id: TaskId, tenant: str, reply: Sequence[Any]) -> TaskView | None:
    """What show.lua returns; None for another tenant's."""
    if not reply or (spec := read_spec(reply[0])).tenant != tenant:
        return None
    run = read_run(reply[1]) if reply[1] else first_run(spec, id.submitted_ms)
    recent = () if run.state.done else read_recent(reply[3])
    return TaskView(str(id), id.slot, spec, run, id.submitted_ms, reply[2], recent)


def _depth(reply: Sequence[Any], now_ms: int) -> Depth:
    """What depth.lua returns."""
    paused, since_ms, *told = reply
    tasks = {State(state.decode()): count for state, count in zip(told[::2], told[1::2], strict=True)}
    return Depth(paused == 1, tasks, max(0, now_ms - since_ms) if since_ms else None)
