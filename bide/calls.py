"""Calls to the store: its scripts and commands, by its own time; what they refuse is raised."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from bide import scripts
from bide.clock import Clock
from bide.connection import Client, sound
from bide.error_replies import NoScript
from bide.errors import (
    Closed,
    IdempotencyConflict,
    InboxFull,
    NotUnique,
    OperationNotFound,
    RateLimited,
    StoreUnavailable,
    Superseded,
    TaskFinished,
    TaskNotFailed,
    TaskNotFinished,
    TaskNotFound,
    TooManyOperations,
    Unregistered,
)
from bide.ids import TaskId
from bide.keys import Keys
from bide.scripts import AsyncClient


class Calls:
    """Runs what it is told on one connection per thread. Every method may raise StoreUnavailable."""

    def __init__(self, client: Client, keys: Keys, clock: Clock) -> None:
        self.client = client
        self.clock = clock
        self.keys = keys
        self._slot_keys: dict[tuple[str, str], tuple[str, ...]] = {}

    def now_ms(self, lease_ms: float = math.inf) -> int:
        """The store's time, good enough for leases of that length, by default of any.

        Asks the store (one round trip) when no young sample is at hand.
        """
        now_ms = self.clock.now_ms() if self.clock.suits(lease_ms) else None
        if now_ms is None:
            sent = self.clock.local()
            self.clock.record(read_time(self.command("TIME")), sent)
            return self._told(self.clock.now_ms())
        return now_ms

    async def now_ms_async(self, client: AsyncClient, lease_ms: int) -> int:
        """`now_ms` on the event loop, good enough for leases of that length."""
        if not self.clock.suits(lease_ms):
            sent = self.clock.local()
            self.clock.record(read_time(await client.execute_command("TIME")), sent)
        return self._told(self.clock.now_ms())

    @staticmethod
    def _told(now_ms: int | None) -> int:
        """The time, where a sample has just been taken."""
        if now_ms is None:
            raise StoreUnavailable("The store answers too slowly to tell its time. Try again.")
        return now_ms

    def keys_of(self, name: str, slot: str) -> tuple[str, ...]:
        """The keys that a script wants of a slot."""
        keys = self._slot_keys.get((name, slot))
        if keys is None:
            keys = self._slot_keys[name, slot] = self.keys.slot(slot, scripts.load(name).keys)
        return keys

    def slot_script(self, name: str, slot: str, *args: Any) -> Any:
        """Run a script of one slot; what it refuses is raised."""
        return self.script(name, self.keys_of(name, slot), *args, slot=slot)

    def slot_scripts(self, name: str, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Run a script for each of these: a slot, and arguments. One round trip, two when the script is new.

        Returns replies, and in the place of what was refused the error.
        """
        replies = self._pipeline(self._runs(name, calls, {slot for slot, _ in calls}))
        if any(isinstance(reply, NoScript) for reply in replies):
            # None of them has run, or some other process has just brought the script: they may run again.
            replies = self._pipeline(self._runs(name, calls, set()))
        return [_read(reply, slot) for reply, (slot, _) in zip(replies, calls, strict=True)]

    def _runs(
        self, name: str, calls: Sequence[tuple[str, Sequence[Any]]], knowing: set[str]
    ) -> list[tuple[Any, ...]]:
        """The commands that run a script. knowing: slots whose node has it; others are brought it first."""
        script, commands = scripts.load(name), []
        for slot, args in calls:
            keys = self.keys_of(name, slot)
            run = ("EVALSHA", script.sha) if slot in knowing else ("EVAL", script.source)
            commands.append((*run, len(keys), *keys, *args))
            knowing.add(slot)
        return commands

    def each_slot(self, name: str, slots: Iterable[str], *args: Any) -> dict[str, Any]:
        """Run a script in each of these slots, likewise; what one refuses is raised."""
        asked = list(dict.fromkeys(slots))
        return dict(zip(asked, sound(self.slot_scripts(name, [(slot, args) for slot in asked])), strict=True))

    def script(self, name: str, keys: Sequence[str], *args: Any, slot: str = "") -> Any:
        """Run a script on these keys; what it refuses is raised."""
        reply = _read(scripts.load(name).run(self.client, keys, *args), slot)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def command(self, *args: Any) -> Any:
        """Run a single command."""
        return self.client.execute_command(*args)

    def commands(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Run commands, each of one slot, in one round trip."""
        return sound(self._pipeline(commands))

    def fields(self, key: str) -> dict[bytes, bytes]:
        """All fields of a hash."""
        return _fields(self.command("HGETALL", key))

    def fields_of_slots(self, name: str, slots: Iterable[str]) -> dict[str, dict[bytes, bytes]]:
        """All fields of the hash `name` of each slot, in one round trip."""
        asked = list(dict.fromkeys(slots))
        found = self.commands([("HGETALL", self.keys.slot(slot, (name,))[0]) for slot in asked])
        return dict(zip(asked, map(_fields, found), strict=True))

    def _pipeline(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        return self.client.pipeline(*commands) if commands else []


def _fields(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _read(reply: Any, slot: str) -> Any:
    """The reply, or the refusal that it is."""
    if type(reply) is list and reply and type(reply[0]) is bytes and reply[0] in _REFUSALS:
        return _REFUSALS[reply[0]](slot, *reply[1:])
    return reply


def read_time(reply: Sequence[bytes | int]) -> tuple[int, int]:
    """The reply to TIME: seconds, microseconds."""
    return int(reply[0]), int(reply[1])


_REFUSALS: Final[dict[bytes, Callable[..., Exception]]] = {
    b"SUPERSEDED": lambda _: Superseded(),
    b"UNREGISTERED": lambda _: Unregistered(),
    b"CLOSED": lambda _, reason, retry_after: Closed(reason.decode(), int(retry_after)),
    b"IDEMPOTENCY_CONFLICT": lambda _: IdempotencyConflict(),
    b"NOT_UNIQUE": lambda slot, key: NotUnique(str(TaskId(slot, key))),
    b"RATE_LIMITED": lambda _, retry_after_ms: RateLimited(retry_after_ms),
    b"INBOX_FULL": lambda _: InboxFull(),
    b"TASK_NOT_FOUND": lambda _: TaskNotFound(),
    b"TASK_FINISHED": lambda _, state: TaskFinished(state.decode()),
    b"TASK_NOT_FINISHED": lambda _, state: TaskNotFinished(state.decode()),
    b"TASK_NOT_FAILED": lambda _, state: TaskNotFailed(state.decode()),
    b"OPERATION_NOT_FOUND": lambda _: OperationNotFound(),
    b"TOO_MANY_OPERATIONS": lambda _: TooManyOperations(),
}
"""By the word that a script returns; called with the slot and what follows the word."""
