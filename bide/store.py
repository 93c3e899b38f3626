"""Writes to the store: one method per script.

Synchronous, for handlers, the tick and the heartbeat; only `exchange`, which
nobody but a worker's event loop calls, is a coroutine.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

import msgspec

from bide import scripts
from bide.clock import Clock
from bide.connection import Client
from bide.errors import (
    Closed,
    IdempotencyConflict,
    InboxFull,
    RateLimited,
    ScriptError,
    StoreUnavailable,
    TaskFinished,
    TaskNotFound,
    Unregistered,
)
from bide.exchange import ExchangeReply, Message, flatten_messages, read_reply, split_ids
from bide.ids import TaskId, new_id
from bide.keys import Keys
from bide.records import Run, Spec
from bide.replies import Accepted, Cancelled, Need, Sent, Upkeep
from bide.scripts import AsyncClient
from bide.state import State
from bide.submission import Submission

FORGET_MS: Final = 3_600_000
"""How long the store remembers a silent worker's last exchange."""

_pack = msgspec.msgpack.Encoder().encode


@lru_cache(maxsize=1024)
def _packed_ready(max_attempts: int, retention_ms: int) -> bytes:
    """The record of most submissions, the same for all of a task's."""
    return _pack(Run(State.READY, max_attempts=max_attempts, retention_ms=retention_ms))


def _time(reply: Sequence[bytes | int]) -> tuple[int, int]:
    """The reply to TIME: seconds, microseconds."""
    return int(reply[0]), int(reply[1])


def _digest(of: bytes) -> str:
    """Sixteen hexadecimal characters."""
    return hashlib.blake2b(of, digest_size=8).hexdigest()


class Store:
    """The store's scripts as methods. Every one may raise StoreUnavailable."""

    def __init__(
        self,
        client: Client,
        keys: Keys,
        clock: Clock,
        *,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.client = client
        self.clock = clock
        self.keys = keys
        self._random_bytes = random_bytes
        self._slot_keys: dict[tuple[str, str], tuple[str, ...]] = {}

    def now_ms(self) -> int:
        """The store's time; asks it (one round trip) when no young sample is at hand."""
        now_ms = self.clock.now_ms()
        if now_ms is None:
            sent = self.clock.local()
            self.clock.record(_time(self.command("TIME")), sent)
            return self._told(self.clock.now_ms())
        return now_ms

    @staticmethod
    def _told(now_ms: int | None) -> int:
        if now_ms is None:
            raise StoreUnavailable("The store answers too slowly to tell its time. Try again.")
        return now_ms

    # --- for handlers ---------------------------------------------------------------------

    def submit(self, submission: Submission, *, rate_limit: int = 0) -> Accepted:
        """Accept a task. `rate_limit` is per second, tenant and queue; 0 is none.

        Raises Closed, RateLimited, IdempotencyConflict.
        """
        now_ms = self.now_ms()
        id = new_id(submission.queue, now_ms, self._random_bytes)
        due_ms = submission.run_at_ms or (submission.delay_ms and now_ms + submission.delay_ms)
        if due_ms <= now_ms:
            due_ms = 0
        expires_ms = submission.expires_ms and now_ms + submission.expires_ms
        deadline_ms = submission.deadline_ms and now_ms + submission.deadline_ms
        ends_ms = min(expires_ms or deadline_ms, deadline_ms or expires_ms)
        key = submission.idempotency_key
        field = f"{submission.tenant}\0{key}" if key else ""
        spec = Spec(submission.name, submission.args, submission.tenant, due_ms, field)
        if due_ms or ends_ms:
            run = _pack(
                Run(
                    State.SCHEDULED if due_ms else State.READY,
                    max_attempts=submission.max_attempts,
                    retention_ms=submission.retention_ms,
                    due_ms=due_ms,
                    expires_ms=expires_ms,
                    deadline_ms=deadline_ms,
                )
            )
        else:
            run = _packed_ready(submission.max_attempts, submission.retention_ms)
        arguments = (
            now_ms, id.key, _pack(spec), run, due_ms, ends_ms, field, submission.fingerprint,
            f"rate/{submission.tenant}" if rate_limit else "", rate_limit,
        )  # fmt: skip
        try:
            reply = self.slot_script("submit", submission.queue, *arguments)
        except Unregistered:
            self.register(submission.queue)
            reply = self.slot_script("submit", submission.queue, *arguments)
        _, key, new, workers, alarm_ms, left = reply
        id = TaskId(submission.queue, key)
        return Accepted(id, new == 0, Need(workers, alarm_ms), left if left >= 0 else None)

    def send_event(self, id: TaskId, tenant: str, name: str, body: bytes, *, key: str = "") -> Sent:
        """Send a task an event; it is kept until the task reads it.

        body: JSON. key: the same key again, for the same task and with the same name and body, is
            answered without being sent again; empty makes one up.
        Raises TaskNotFound, TaskFinished, IdempotencyConflict, InboxFull.
        """
        marked = key.encode() or self._random_bytes(16)
        _, new, workers = self.slot_script(
            "event", id.slot, self.now_ms(), id.key, tenant, name, body,
            _digest(marked), _digest(name.encode() + b"\0" + body),
        )  # fmt: skip
        return Sent(new == 0, Need(workers))

    def cancel(self, id: TaskId, tenant: str) -> Cancelled:
        """Cancel a task. Raises TaskNotFound, TaskFinished."""
        reply = self.slot_script("cancel", id.slot, self.now_ms(), id.key, tenant)
        if reply[0] == b"CANCELLED":
            return Cancelled(True, Need())
        if reply[1]:
            self._ring(id.slot, reply[1].decode())
        return Cancelled(False, Need(reply[2]))

    def _ring(self, slot: str, worker: str) -> None:
        """Wake one worker. A hint: its heartbeat brings a cancel in any case, only later."""
        bell = self.keys.personal_bell(slot, worker)
        self.client.transaction(("RPUSH", bell, "1"), ("EXPIRE", bell, 60))

    def hold(self, holder: str, hold_ms: int, budget: int) -> bool:
        """Take one of `budget` places for requests that are held open; False when all are taken."""
        keys = self.keys.server(("waits",))
        return bool(self.script("hold", keys, self.now_ms(), holder, hold_ms, budget) == 1)

    def release_hold(self, holder: str) -> None:
        """Give the place back."""
        self.command("ZREM", self.keys.server(("waits",))[0], holder)

    def register(self, slot: str) -> None:
        """Make a slot known to the server, and copy the server's gate into it."""
        keys = self.keys.server(("state", "slots"))
        accepting, reason, retry_after, epoch = self.script("register", keys, self.now_ms(), slot)
        self.slot_script("apply_gate", slot, accepting, reason, retry_after, epoch)

    # --- for workers and the tick ---------------------------------------------------------

    async def exchange(
        self,
        client: AsyncClient,
        slot: str,
        *,
        worker: str,
        boot: int,
        seq: int,
        messages: Sequence[Message],
        capacity: int,
        lease_ms: int,
        isolate: bool,
        listen_ms: int,
        lived_ms: int,
        asked_at: float,
    ) -> ExchangeReply:
        """One turn of a worker; see lua/exchange.lua. At most BATCH messages and leases.

        lived_ms: what the worker has lived since it last said so, in milliseconds.
        asked_at: local clock when this `seq` was first sent. A repeat brings the leases of the
            first try, which have been running out since.
        Raises ScriptError when this worker's name has been superseded.
        """
        script = scripts.load("exchange")
        now_ms = await self._now_ms_async(client)
        reply = await script.run_async(
            client, self._keys_of("exchange", slot), now_ms, worker, boot, seq,
            capacity, lease_ms, int(isolate), listen_ms, lived_ms, *flatten_messages(messages),
        )  # fmt: skip
        if reply[0] != b"OK":
            raise ScriptError(f"Worker {worker} has been superseded by a later start of itself.")
        return read_reply(slot, reply, asked_at + lease_ms / 1000 - self.clock.lag_s)

    async def _now_ms_async(self, client: AsyncClient) -> int:
        if self.clock.now_ms() is None:
            sent = self.clock.local()
            self.clock.record(_time(await client.execute_command("TIME")), sent)
        return self._told(self.clock.now_ms())

    def heartbeat(
        self, slot: str, worker: str, lease_ms: int, held: Sequence[tuple[bytes, int]]
    ) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """Renew the leases `held` (id, fence), at most BATCH; return those lost and those to cancel."""
        lost, cancels = self.slot_script(
            "heartbeat", slot, self.now_ms(), worker, lease_ms, *chain.from_iterable(held)
        )
        return split_ids(lost), split_ids(cancels)

    def tick(self, slot: str) -> Upkeep:
        """Upkeep of one slot: up to 100 tasks of each kind."""
        return Upkeep(*self.slot_script("tick", slot, self.now_ms(), FORGET_MS))

    def retire(self, slot: str, worker: str, window_ms: int, lived_ms: int, *, forced: bool) -> Need | None:
        """Take a worker off the slot's lists; None, unless forced, when there is work for it.

        window_ms: work that is due within it counts. lived_ms: as in `exchange`.
        """
        may, workers, alarm_ms = self.slot_script(
            "retire", slot, self.now_ms(), worker, window_ms, int(forced), lived_ms
        )
        return Need(workers, alarm_ms) if may == 1 else None

    def arm(self, slot: str, alarm_ms: int) -> None:
        """Record that an alarm has been set for this time."""
        self.slot_script("arm", slot, self.now_ms(), alarm_ms)

    def slots(self) -> tuple[str, ...]:
        """Every registered slot."""
        names: list[bytes] = self.command("SMEMBERS", self.keys.server(("slots",))[0])
        return tuple(sorted(name.decode() for name in names))

    # --- running a script -----------------------------------------------------------------

    def _keys_of(self, name: str, slot: str) -> tuple[str, ...]:
        keys = self._slot_keys.get((name, slot))
        if keys is None:
            keys = self._slot_keys[name, slot] = self.keys.slot(slot, scripts.load(name).keys)
        return keys

    def slot_script(self, name: str, slot: str, *args: Any) -> Any:
        """Run a script of one slot; what it refuses is raised."""
        return self.script(name, self._keys_of(name, slot), *args)

    def script(self, name: str, keys: Sequence[str], *args: Any) -> Any:
        """Run a script on these keys; what it refuses is raised."""
        reply = scripts.load(name).run(self.client, keys, *args)
        if type(reply) is list and reply and type(reply[0]) is bytes and reply[0] in _REFUSALS:
            raise _REFUSALS[reply[0]](*reply[1:])
        return reply

    def command(self, *args: Any) -> Any:
        """Run a single command."""
        return self.client.execute_command(*args)


_REFUSALS: Final[dict[bytes, Callable[..., Exception]]] = {
    b"UNREGISTERED": Unregistered,
    b"CLOSED": lambda reason, retry_after: Closed(reason.decode(), int(retry_after)),
    b"IDEMPOTENCY_CONFLICT": IdempotencyConflict,
    b"RATE_LIMITED": RateLimited,
    b"INBOX_FULL": InboxFull,
    b"TASK_NOT_FOUND": TaskNotFound,
    b"TASK_FINISHED": lambda state: TaskFinished(state.decode()),
}
