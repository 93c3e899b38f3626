"""What a worker and the store say to each other in one exchange: records and their encoding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec

from bide.autoscaler import Seen
from bide.ids import TaskId
from bide.moves import Moved, read_moves
from bide.records import Run, Spec, read_run, read_spec

BATCH: Final = 100
"""Messages, and leases, that one exchange carries at most."""
EXIT_TRIES: Final = 3
"""Leases that a task gets for what it has asked to be run at its end; as in lua/_ready.lua."""
MAX_BYTES: Final = 1024 * 1024
"""Of messages that one exchange carries; a single larger one goes alone."""


class Settlement(StrEnum):
    """The state that a lease's end brings its task to."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETRYING = "retrying"
    PARKED = "waiting"
    POLLED = "polled"
    """A poller has made its round; it parks until the next."""
    REFUSED = "refused"
    """The worker lacks the task's code: others shall have it, after a delay. The attempt does not count."""
    HANDED_BACK = "ready"
    """The attempt does not count: the worker leaves before the task was through."""


class Verb(StrEnum):
    """What a message does that settles nothing."""

    JOURNAL = "journal"
    EXITS = "exits"
    """The task has asked for something to be run at its end."""
    PROGRESS = "progress"
    LINES = "lines"
    """What a task has logged."""
    DELIVER = "deliver"
    """A poller has an answer for a task."""
    WATCH = "watch"
    """A task waits for a poller."""
    UNWATCH = "unwatch"


class Message(NamedTuple):
    """One thing that a worker tells the store; its fields are six arguments of exchange.lua.

    What number, body and extra mean depends on the verb; lua/_messages.lua says it.
    """

    key: bytes
    """The task's id in its slot; for WATCH and UNWATCH the poller's."""
    fence: int
    """Of the lease; for DELIVER the polls that it took."""
    verb: Settlement | Verb
    number: int = 0
    body: bytes | str = b""
    extra: bytes | str = b""


class Usage(NamedTuple):
    """What one lease cost, beyond what the task had cost before; the extra of a settle."""

    billed_us: int = 0
    waited_ms: int = 0
    replays: int = 0
    polls: int = 0
    calls: int = 0
    """Calls of a shared poller."""
    active_ms: int = 0
    """Of the attempt so far, all its leases together."""
    exits: int = 0
    """1 when a lease ends its task without having run all that is to be run then: another one has to."""
    name: str = ""
    """The task's, by which its end is counted; empty for a poller."""

    def packed(self) -> bytes:
        return _pack(tuple(self))


class Event(msgspec.Struct, frozen=True):
    """One unread event."""

    number: int
    """In the order they came, from 1."""
    name: str
    body: str | None = None
    """JSON; None where it did not come along, and is to be read."""


class Lease(msgspec.Struct, frozen=True):
    """A worker's hold on one task."""

    id: TaskId
    run: Run
    spec: Spec | None
    """None when the record cannot be read: damaged, or of another version."""
    isolated: bool
    """The task's next crash would be its last: hold no other such task beside it."""
    expires_at: float
    """Local boot-time clock, in seconds; the store's own view ends no earlier."""
    journal: tuple[bytes, ...] = ()
    """Entries, packed."""
    events: tuple[Event, ...] = ()
    """Unread ones in the order they came; those that the task awaited with their bodies, within bounds."""

    @property
    def fence(self) -> int:
        return self.run.fence

    @property
    def attempt(self) -> int:
        return self.run.attempt

    @property
    def is_poller(self) -> bool:
        """Whether it is leave to make a poller's round, and no task."""
        return self.run.max_attempts == 0


@dataclass(frozen=True, slots=True)
class ExchangeReply:
    """The store's side of an exchange."""

    lost: tuple[int, ...]
    """Positions of the messages that no longer counted: their leases had passed to others."""
    leases: tuple[Lease, ...]
    cancels: tuple[bytes, ...]
    """Tasks of this worker that somebody asked to cancel."""
    next_due_ms: int | None
    """When the slot next has something to promote, end or reap, by the store's clock."""
    due_ms: int | None
    """When the first of those tasks is due that wait for their time."""
    ready: int
    """Tasks that still wait for a worker, without isolated ones."""
    workers: int
    """Workers to start now."""
    admitted: bool
    """Whether this worker may lease; not when there are as many others as may be."""
    seen: Seen
    """The queue's fleet, this worker included if it is admitted."""
    moves: tuple[Moved, ...] = ()
    """What the script moved by itself, or to another state than a settle asked for."""


_pack = msgspec.msgpack.Encoder().encode


def flatten_messages(messages: Iterable[Message]) -> Iterator[Any]:
    """The last arguments of exchange.lua, six a message."""
    return chain.from_iterable(messages)


def split_ids(joined: bytes) -> tuple[bytes, ...]:
    """The 16-byte ids in a string of them."""
    return tuple(joined[i : i + 16] for i in range(0, len(joined), 16))


def _read_spec(packed: bytes) -> Spec | None:
    try:
        return read_spec(packed)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def read_events(told: Sequence[Any]) -> tuple[Event, ...]:
    """A task's unread events, as `tell_unread` in lua/_unread.lua tells them."""
    if not told:
        return ()
    listed, *rest = told
    bodies = dict(zip(rest[::2], rest[1::2], strict=True))
    events, at = list[Event](), 0
    while at < len(listed):
        number, begin = int.from_bytes(listed[at : at + 4], "big"), at + 9  # the size comes between
        at = begin + listed[at + 8]
        body = bodies.get(number)
        events.append(Event(number, listed[begin:at].decode(), None if body is None else body.decode()))
    return tuple(events)


def read_reply(slot: str, reply: list[Any], expires_at: float) -> ExchangeReply:
    """Decode what exchange.lua returned after its 'OK'; `expires_at` is for every lease in it."""
    _, lost, flat, cancels, next_due_ms, due_ms, ready, workers, admitted, *fleet, moves = reply
    fields = iter(flat)
    leases = tuple(
        Lease(
            TaskId(slot, key), read_run(run), _read_spec(spec), isolated == 1, expires_at,
            tuple(journal), read_events(unread),
        )
        for key, spec, run, isolated, journal, unread in zip(*[fields] * 6, strict=True)
    )  # fmt: skip
    return ExchangeReply(
        lost=tuple(lost),
        leases=leases,
        cancels=split_ids(cancels),
        next_due_ms=next_due_ms if next_due_ms >= 0 else None,
        due_ms=due_ms if due_ms >= 0 else None,
        ready=ready,
        workers=workers,
        admitted=admitted == 1,
        seen=Seen(ready, *fleet),
        moves=read_moves(slot, moves),
    )
