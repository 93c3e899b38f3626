"""Bulk operations: redrive or purge failed tasks of a queue, a hundred at a time; one record tells."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from bide.errors import OperationNotFound
from bide.ids import OperationId, new_id
from bide.replies import Need
from bide.store import Store
from bide.wake import Waker

KEPT: Final = 100
"""Operations of a queue that are remembered; lua/operate.lua has it, too."""


class Kind(StrEnum):
    """What is done to the tasks."""

    REDRIVE = "redrive"
    """Each is retried, as `Store.retry` does."""
    PURGE = "purge"
    """Each is erased, with all that is kept of it."""


class Wanted(NamedTuple):
    """Which of a queue's failed tasks are meant; empty is any."""

    name: str = ""
    tag: str = ""
    code: str = ""
    """Of the failure."""


EVERY: Final = Wanted()
"""Any failed task."""


class Operation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How far an operation has come. Stored in `operations`, MessagePack, in this order; see lua/operate.lua.

    After these fields comes the script's own place, which nobody else reads.
    """

    kind: Kind
    dry_run: bool
    """Whether it only counts."""
    name: str
    tag: str
    code: str
    rate: float
    """Tasks per second that a redrive makes ready; 0 is all at once."""
    created_ms: int
    """Tasks that failed later, or were retried since, are none of its business."""
    finished_ms: int = 0
    """0 while it runs."""
    matched: int = 0
    """Tasks that the filter means."""
    changed: int = 0
    """Of those, redriven or purged."""
    skipped: int = 0
    """Of those, left as they are: another unfinished task holds the same `unique`."""

    @property
    def running(self) -> bool:
        return self.finished_ms == 0


class Known(NamedTuple):
    """An operation as it stands."""

    id: OperationId
    operation: Operation


def _age(known: Known) -> bytes:
    return known.id.key  # begins with the time


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Operation).decode


class Bulk:
    """Begins operations and goes on with them. Every method may raise StoreUnavailable.

    Each call of the script handles a part and writes down how far it came, as one change: any number
    of callers may go on with the same operation, at once or after one of them has died.
    """

    def __init__(
        self, store: Store, waker: Waker, *, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._store = store
        self._waker = waker
        self._random_bytes = random_bytes

    def begin(
        self,
        slot: str,
        kind: Kind,
        wanted: Wanted = EVERY,
        *,
        dry_run: bool,
        rate: float = 0,
        goes_on: Callable[[], bool],
    ) -> Known:
        """Begin an operation and go on with it while `goes_on`, asked between parts, says so.

        Raises TooManyOperations.
        """
        now_ms = self._store.now_ms()
        id = OperationId(slot, new_id(slot, now_ms, self._random_bytes).key)
        first = Operation(kind, dry_run, *wanted, rate, now_ms)
        operation = self._part(id, _pack(first))
        while operation.running and goes_on():
            operation = self._part(id)
        if operation.running:
            self._waker.look()
        return Known(id, operation)

    def go_on(self, slot: str, goes_on: Callable[[], bool]) -> bool:
        """Go on with the slot's operations, the oldest first; whether all have ended.

        goes_on: asked before each call to the store.
        """
        if not goes_on():
            return False
        for id, operation in sorted(self._of_slots((slot,)), key=_age):
            while operation.running:
                if not goes_on():
                    return False
                try:
                    operation = self._part(id)
                except OperationNotFound:
                    break  # others have ended it, and so many since that it is forgotten
        return True

    def show(self, id: OperationId) -> Known:
        """An operation as it stands. Raises OperationNotFound."""
        packed = self._store.command("HGET", self._key(id.slot), id.key)
        if packed is None:
            raise OperationNotFound
        return Known(id, _unpack(packed))

    def latest(self, queues: Iterable[str] = ()) -> tuple[Known, ...]:
        """The last hundred of all queues, the latest first.

        queues: to look at besides those that ever had a task.
        """
        found = self._of_slots({*self._store.slots(), *queues})
        return tuple(sorted(found, key=_age, reverse=True)[:KEPT])

    def _of_slots(self, slots: Iterable[str]) -> list[Known]:
        """These slots' operations."""
        packed = self._store.fields_of_slots("operations", slots)
        return [
            Known(OperationId(slot, key), _unpack(record))
            for slot, fields in packed.items()
            for key, record in fields.items()
        ]

    def _part(self, id: OperationId, first: bytes = b"") -> Operation:
        store = self._store
        limits = store.limits(id.slot)
        record, workers, alarm_ms, moves = store.slot_script(
            "operate", id.slot, store.now_ms(), id.key, first, limits.concurrency, limits.maximum
        )
        store.note(id.slot, moves)
        self._waker.answer(id.slot, Need(workers, alarm_ms))
        return _unpack(record)

    def _key(self, slot: str) -> str:
        return self._store.keys.slot(slot, ("operations",))[0]
