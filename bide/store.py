"""Writes to the store: one method per script.

Synchronous, for handlers, the tick and the heartbeat; only `exchange`, which
nobody but a worker's event loop calls, is a coroutine.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, Final

from bide import scripts
from bide.autoscaler import Departure, Limits, Reason, Seen
from bide.calls import Calls
from bide.clock import Clock
from bide.connection import Client
from bide.errors import BideError, StoreError, Superseded, Unregistered
from bide.exchange import ExchangeReply, Message, flatten_messages, read_reply, split_ids
from bide.ids import TaskId, new_id
from bide.keys import Keys
from bide.moves import read_moves
from bide.records import Spec, first_view, pack_spec, read_recent
from bide.replies import Accepted, Cancelled, Need, Retried, Sent, Upkeep
from bide.scripts import AsyncClient
from bide.submission import Submission
from bide.transition_log import TransitionLog

UNLIMITED: Final = Limits(minimum=0, maximum=1_000, concurrency=100)

FORGET_MS: Final = 3_600_000
"""How long the store remembers a silent worker's last exchange."""

_BAND: Final = 2**49
"""What a priority takes of the line; see lua/_line.lua."""


def _digest(of: bytes) -> str:
    """Sixteen hexadecimal characters."""
    return hashlib.blake2b(of, digest_size=8).hexdigest()


def _rate(tenant: str, limit: int) -> tuple[str, int]:
    """The tenant's field in `meta`, empty for no limit, and the limit."""
    return f"rate/{tenant}" if limit else "", limit


class Store(Calls):
    """The store's scripts as methods. Every one may raise StoreUnavailable."""

    def __init__(
        self,
        client: Client,
        keys: Keys,
        clock: Clock,
        *,
        limits: Callable[[str], Limits] = lambda _: UNLIMITED,
        records: bool = True,
        log: TransitionLog | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """limits: of each queue; `Settings.limits` has them. records: as `Settings.records`. log: of the
        transitions that calls of this make.
        """
        super().__init__(client, keys, clock)
        self.limits = limits
        self.records = records
        self.log = log
        self._random_bytes = random_bytes

    # --- for handlers ---------------------------------------------------------------------

    def submit(self, submission: Submission, *, rate_limit: int = 0) -> Accepted:
        """Accept a task. `rate_limit` is per second, tenant and queue, events included; 0 is none.

        Raises Closed, RateLimited, IdempotencyConflict, NotUnique.
        """
        queue = submission.queue
        spec, arguments = self._asked_for(submission, rate_limit)
        try:
            reply = self.slot_script("submit", queue, *arguments)
        except Unregistered:
            self.register(queue)
            reply = self.slot_script("submit", queue, *arguments)
        return self._accepted(queue, spec, arguments, reply)

    def submit_all(
        self, submissions: Sequence[Submission], *, rate_limit: int = 0
    ) -> list[Accepted | BideError]:
        """Accept tasks, each for itself, in one round trip, and a few more for queues that are new.

        Returns in order what `submit` would return, or raise. Of StoreUnavailable it is not known what was
        accepted: only a repeat with idempotency keys is safe.
        """
        asked = [self._asked_for(each, rate_limit) for each in submissions]
        calls = [(each.queue, arguments) for each, (_, arguments) in zip(submissions, asked, strict=True)]
        replies = self.slot_scripts("submit", calls)
        unheard = [place for place, reply in enumerate(replies) if isinstance(reply, Unregistered)]
        for queue in dict.fromkeys(calls[place][0] for place in unheard):
            self.register(queue)
        again = self.slot_scripts("submit", [calls[place] for place in unheard])
        for place, reply in zip(unheard, again, strict=True):
            replies[place] = reply
        return [
            reply if isinstance(reply, BideError) else self._accepted(queue, spec, arguments, reply)
            for (spec, _), (queue, arguments), reply in zip(asked, calls, replies, strict=True)
        ]

    def _asked_for(self, submission: Submission, rate_limit: int) -> tuple[Spec, tuple[Any, ...]]:
        """What the store shall keep, and the arguments of submit.lua, with a new id."""
        now_ms = self.now_ms()
        id = new_id(submission.queue, now_ms, self._random_bytes)
        spec = submission.spec(now_ms)
        ends_ms = min(spec.expires_ms or spec.deadline_ms, spec.deadline_ms or spec.expires_ms)
        return spec, (
            now_ms, id.key, pack_spec(spec), (9 - spec.priority) * _BAND, spec.run_at_ms, ends_ms,
            spec.idempotency, submission.fingerprint, spec.unique,
            *_rate(spec.tenant, rate_limit), *self._fleet(submission.queue),
            f"r{spec.name}",
        )  # fmt: skip

    def _accepted(self, queue: str, spec: Spec, asked: tuple[Any, ...], reply: list[Any]) -> Accepted:
        """What submit.lua answered to these arguments."""
        _, key, new, workers, alarm_ms, left, recent = reply
        id = TaskId(queue, key)
        # Seen under its own id it is new, too: the first answer was lost.
        if self.log is not None and (new == 1 or key == asked[1]):
            self.log.note("submitted", id, spec.name, state="scheduled" if asked[4] else "ready")
        burst_left = left if left >= 0 else None
        view = first_view(id, spec, read_recent(recent)) if new else None
        return Accepted(id, new == 0, Need(workers, alarm_ms), burst_left, view)

    def send_event(
        self, id: TaskId, tenant: str, name: str, body: bytes, *, key: str = "", rate_limit: int = 0
    ) -> Sent:
        """Send a task an event; it is kept until the task reads it.

        body: JSON. key: the same key again, for the same task and with the same name and body, is
            answered without being sent again; empty makes one up. rate_limit: as in `submit`, and the same.
        Raises TaskNotFound, TaskFinished, IdempotencyConflict, InboxFull, RateLimited.
        """
        marked = key.encode() or self._random_bytes(16)
        _, new, workers, left, moves = self.slot_script(
            "event", id.slot, self.now_ms(), id.key, tenant, name, body,
            _digest(marked), _digest(name.encode() + b"\0" + body), *self._fleet(id.slot), int(self.records),
            *_rate(tenant, rate_limit),
        )  # fmt: skip
        self.note(id.slot, moves)
        return Sent(new == 0, Need(workers), left if left >= 0 else None)

    def cancel(self, id: TaskId, tenant: str) -> Cancelled:
        """Cancel a task. Raises TaskNotFound, TaskFinished."""
        reply = self.slot_script(
            "cancel", id.slot, self.now_ms(), id.key, tenant, *self._fleet(id.slot), int(self.records)
        )
        self.note(id.slot, reply[1])
        if reply[0] == b"CANCELLED":
            return Cancelled(True, Need())
        if reply[2]:
            with suppress(StoreError):  # the cancel is recorded, and the ring is but a hint
                self._ring(id.slot, reply[2].decode())
        return Cancelled(False, Need(reply[3]))

    def note(self, slot: str, moves: Sequence[bytes | int]) -> None:
        """Log what a script has moved."""
        if self.log is not None and moves:
            self.log.note_moves(read_moves(slot, moves))

    def erase(self, id: TaskId, tenant: str) -> None:
        """Forget a finished task. Raises TaskNotFound, TaskNotFinished."""
        _, name, attempt = self.slot_script("erase", id.slot, id.key, tenant)
        if self.log is not None:
            self.log.note("deleted", id, name.decode(), attempt=attempt)

    def retry(self, id: TaskId, tenant: str) -> Retried:
        """Begin a failed task again. A repeat, and one that was retried before, are left as they are.

        Raises TaskNotFound, TaskNotFailed, NotUnique.
        """
        args = (id.key, tenant, *self._fleet(id.slot))
        _, new, workers, moves = self.slot_script("retry", id.slot, self.now_ms(), *args)
        self.note(id.slot, moves)
        return Retried(new == 0, Need(workers))

    def _ring(self, slot: str, worker: str) -> None:
        """Wake one worker. A hint: its heartbeat brings a cancel in any case, only later."""
        bell = self.keys.personal_bell(slot, worker)
        self.client.transaction(("RPUSH", bell, "1"), ("EXPIRE", bell, 60))

    def pause(self, slot: str, paused: bool) -> Need:
        """Pause a queue, or resume it: whether its tasks are leased. What it takes that somebody goes on."""
        workers, alarm_ms = self.slot_script("pause", slot, self.now_ms(), int(paused), *self._fleet(slot))
        return Need(workers, alarm_ms)

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
        free: int,
        lease_ms: int,
        isolate: bool,
        listen_ms: int,
        lived_ms: int,
        asked_at: float,
    ) -> ExchangeReply:
        """One turn of a worker; see lua/exchange.lua. At most BATCH messages and leases.

        free: places for tasks of this queue, the capacity included; -1 when it will lease nothing more.
        lived_ms: what the worker has lived since it last said so, in milliseconds.
        asked_at: local clock when this `seq` was first sent. A repeat brings the leases of the
            first try, which have been running out since.
        Raises Superseded.
        """
        script = scripts.load("exchange")
        now_ms = await self.now_ms_async(client, lease_ms)
        reply = await script.run_async(
            client, self.keys_of("exchange", slot), now_ms, worker, boot, seq,
            capacity, lease_ms, int(isolate), listen_ms, lived_ms, free, *self._fleet(slot),
            int(self.records), *flatten_messages(messages),
        )  # fmt: skip
        if reply[0] != b"OK":
            raise Superseded(f"Worker {worker} has been superseded by a later start of itself.")
        answer = read_reply(slot, reply, asked_at + lease_ms / 1000 - self.clock.lag_s)
        if self.log is not None:
            self.log.note_turn(slot, messages, answer.lost, answer.leases, answer.moves, now_ms)
        return answer

    def heartbeat(
        self, slot: str, worker: str, lease_ms: int, held: Sequence[tuple[bytes, int]]
    ) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """Renew the leases `held` (id, fence), at most BATCH; return those lost and those to cancel."""
        lost, cancels = self.slot_script(
            "heartbeat", slot, self.now_ms(lease_ms), worker, lease_ms, *chain.from_iterable(held)
        )
        return split_ids(lost), split_ids(cancels)

    def begin_turn(self) -> int:
        """Begin a turn of the autoscaler; returns its epoch, and takes the say from all earlier ones."""
        epoch: int = self.script("turn", self.keys.server(("epochs",)), self.now_ms())
        return epoch

    def tick(self, slot: str, epoch: int, *, afresh: bool = False) -> Upkeep:
        """Upkeep of one slot: up to 100 tasks of each kind. Raises Superseded.

        afresh: count no longer on workers that were started and not heard of yet.
        """
        args = (FORGET_MS, epoch, *self._fleet(slot), int(afresh), int(self.records))
        done = self.slot_script("tick", slot, self.now_ms(), *args)
        promoted, reaped, pruned, ready, listeners, next_due_ms, alarm_ms, *fleet, operating, moves = done
        self.note(slot, moves)
        seen = Seen(ready, *fleet)
        return Upkeep(promoted, reaped, pruned, listeners, next_due_ms, alarm_ms, seen, operating)

    def note_starts(self, slot: str, reason: Reason, wanted: int, epoch: int = 0) -> int:
        """Count on workers that the caller starts now; returns how many it may. Raises Superseded.

        epoch: of the autoscaler that wants them; 0 for the successor of a worker.
        """
        args = (reason, wanted, epoch, *self._fleet(slot))
        granted: int = self.slot_script("start", slot, self.now_ms(), *args)
        return granted

    def retire(
        self, slot: str, worker: str, window_ms: int, lived_ms: int, reason: Departure, *, forced: bool
    ) -> Need | None:
        """Take a worker off the slot's lists; None, unless forced, when it is needed.

        window_ms: work that is due within it counts. lived_ms: as in `exchange`.
        """
        least = self.limits(slot).minimum
        may, workers, alarm_ms = self.slot_script(
            "retire", slot, self.now_ms(), worker, window_ms, int(forced), lived_ms, reason, least,
            *self._fleet(slot),
        )  # fmt: skip
        return Need(workers, alarm_ms) if may == 1 else None

    def arm(self, slot: str, alarm_ms: int) -> None:
        """Record that an alarm has been set for this time."""
        self.slot_script("arm", slot, self.now_ms(), alarm_ms)

    def slots(self) -> tuple[str, ...]:
        """Every registered slot."""
        names: list[bytes] = self.command("SMEMBERS", self.keys.server(("slots",))[0])
        return tuple(sorted(name.decode() for name in names))

    def _fleet(self, slot: str) -> tuple[int, int]:
        """What scripts want to know of the queue's limits: places of each worker, workers that may be."""
        limits = self.limits(slot)
        return limits.concurrency, limits.maximum
