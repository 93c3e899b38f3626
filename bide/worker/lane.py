"""A worker's traffic with one slot: exchanges, and the bells it listens to between them."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from bide.async_connection import AsyncClient
from bide.autoscaler import Seen
from bide.duty import perform
from bide.errors import StoreError, StoreUnavailable, Superseded
from bide.exchange import BATCH, MAX_BYTES, ExchangeReply, Lease, Message, Settlement, Verb
from bide.ids import TaskId
from bide.store import Store
from bide.worker.room import Isolation, Room

BLOCK_S: Final = 5
"""How long one BLPOP blocks."""
REFRESH_S: Final = 20.0
"""How often an idle lane makes an exchange all the same, to stay on the list of listeners."""
EXCESS_S: Final = 0.25
"""How often a lane that may not lease asks again."""
LISTEN_MS: Final = 30_000
"""How long the store counts on a listener that it has not heard of."""
PACE_S: Final = 0.002
"""What turns of a lane are apart on average while tasks trickle in; batches need no pace."""
MOST_LINES: Final = 1_000
"""Of logs, that one exchange carries."""
_STALE_REPLY_S: Final = 5.0
_PAUSE_S: Final = 0.25
"""Between tries while the store is away."""
_FAULT_PAUSE_S: Final = 2.0
"""Between tries while a script fails: it has a fault, or the store's data has."""

_log = logging.getLogger(__name__)


Answered = Callable[[bool], object]


class Host(Protocol):
    """What a lane needs of its worker."""

    name: str
    boot: int
    lease_ms: int

    @property
    def isolation(self) -> Isolation:
        """Its place for an isolated task."""

    def room(self, slot: str) -> Room:
        """Its places for tasks of a queue."""

    def start(self, leases: Sequence[Lease]) -> None:
        """Run these tasks; their room has been reserved."""

    def cancel(self, slot: str, keys: Sequence[bytes]) -> None:
        """Cancel these tasks, where they run here."""

    def call_for(self, slot: str, workers: int) -> None:
        """Have that many workers started, as this one cannot do it all."""

    def unreported_ms(self) -> int:
        """What the worker has lived since this was last asked, in milliseconds."""


class Lane:
    """One slot's lane: `run` it; `lead_out` when the worker is to leave, then `close`."""

    def __init__(self, host: Host, store: Store, slot: str, connect: Callable[[float | None], AsyncClient]):
        """connect: opens a client whose replies take at most that many seconds, or any time for None."""
        self.slot = slot
        self._host = host
        self._room = host.room(slot)
        self._store = store
        self._client = connect(_STALE_REPLY_S)
        self._bell_client = connect(None)
        self._outbox: list[tuple[Message, Answered | None]] = []
        self._seq = 0
        self._turn = asyncio.Event()
        self._has_room = asyncio.Event()
        self._holds_leases = asyncio.Event()
        self._led_out = asyncio.Event()
        self._all_said = asyncio.Event()
        self._all_said.set()
        self._denied_isolation = False
        self._paced_at = 0.0
        self._is_store_away = False
        self._leasing = True
        self._closing = False
        self._took_all_it_asked_for = False
        self.admitted = True
        """Whether the store lets this worker lease; see ExchangeReply."""
        self.seen: Seen | None = None
        """The queue's fleet, as the last exchange showed it."""
        self.due_ms: int | None = None
        """When the first task is due that waits for its time, by the store's clock."""
        self.last_arrival = -math.inf
        """Local clock: when this lane last had a task that was not resumed, but new."""

    def send(self, message: Message, answered: Answered | None = None) -> None:
        """Send a message with the next exchange, which follows at once.

        answered: told whether it counted; False when the lease had passed to another worker.
        """
        self._outbox.append((message, answered))
        self._all_said.clear()
        self._turn.set()

    def nudge(self, *, isolation: bool = False) -> None:
        """Make an exchange soon, if this lane went without for want of room.

        isolation: it is the place for an isolated task that has become free.
        """
        if self._denied_isolation if isolation else not self._has_room.is_set():
            self._turn.set()

    def tell_full(self) -> None:
        """Tell the store, if it counts on places here, that there are none: other queues have taken them."""
        if self._has_room.is_set() and not self._room.free:
            self._turn.set()

    def watch_cancels(self, holds_leases: bool) -> None:
        """Listen to the worker's personal bell while it holds leases here."""
        if holds_leases:
            self._holds_leases.set()
        else:
            self._holds_leases.clear()

    def lead_out(self, leaving: bool = True) -> None:
        """Lease nothing more, and leave the list of listeners; or take that back."""
        self._leasing = not leaving
        self._led_out.clear()
        self._turn.set()

    async def led_out(self) -> None:
        """Return once no lease is under way any more. After `lead_out`; waits for the store if it must."""
        await self._led_out.wait()

    async def said(self) -> None:
        """Returns once everything that was to be sent has been."""
        await self._all_said.wait()

    def close(self) -> None:
        """Let `run` return once everything is settled."""
        self._leasing = False
        self._closing = True
        self._turn.set()

    async def run(self) -> None:
        """Exchange whenever there is a reason to, until closed."""
        shared = self._store.keys.slot(self.slot, ("bell",))[0]
        personal = self._store.keys.personal_bell(self.slot, self._host.name)
        bells = (
            asyncio.create_task(perform("the bell", partial(self._listen, shared, self._has_room))),
            asyncio.create_task(
                perform("the worker's bell", partial(self._listen, personal, self._holds_leases))
            ),
        )
        try:
            while not self._closing or self._outbox:
                self._turn.clear()
                reply = await self._exchange()
                hungry = self._has_room.is_set() and (reply.ready or self._took_all_it_asked_for)
                if not (hungry or self._outbox or self._closing):
                    await self._pause(reply)
                    await self._keep_pace()
        finally:
            for bell in bells:
                bell.cancel()
            await asyncio.gather(*bells, return_exceptions=True)
            await self._client.aclose()
            await self._bell_client.aclose()

    async def _exchange(self) -> ExchangeReply:
        """One exchange, repeated under its number until the store answers."""
        self._seq += 1
        sent = self._outbox[: _fitting(self._outbox)]
        messages = [message for message, _ in sent]
        lived_ms = self._host.unreported_ms()
        leasing = self._leasing
        # One that may not lease reserves nothing: giving it back would call for another turn at once.
        room = self._room.reserve(BATCH) if leasing and self.admitted else 0
        free = room + self._room.free if leasing else -1
        isolate = leasing and self._host.isolation.reserve()
        self._denied_isolation = leasing and not isolate
        asked_at = self._store.clock.local()
        try:
            while True:
                try:
                    reply = await self._store.exchange(
                        self._client, self.slot, worker=self._host.name, boot=self._host.boot, seq=self._seq,
                        messages=messages, capacity=room, free=free, lease_ms=self._host.lease_ms,
                        isolate=isolate, listen_ms=LISTEN_MS if leasing else 0, lived_ms=lived_ms,
                        asked_at=asked_at,
                    )  # fmt: skip
                    break
                except Superseded:
                    raise
                except StoreError as error:
                    # Whatever it is, ending here would cost every task of this worker an attempt.
                    self._report_absence(str(error))
                    away = isinstance(error, StoreUnavailable)
                    await asyncio.sleep(_PAUSE_S if away else _FAULT_PAUSE_S)
        except BaseException:
            self._room.release(room)
            if isolate:
                self._host.isolation.release()
            raise
        if self._is_store_away:
            _log.warning("queue %s: the store is back", self.slot)
            self._is_store_away = False
        del self._outbox[: len(sent)]
        if not self._outbox:
            self._all_said.set()
        for position in reply.lost:
            id = TaskId(self.slot, messages[position].key)
            if messages[position].verb in Settlement:
                _log.warning("%s: its lease had passed to another worker; the outcome here was dropped", id)
        for position, (_, answered) in enumerate(sent):
            if answered is not None:
                answered(position not in reply.lost)
        leases = self._in_time(reply.leases)
        self._room.release(room - len(leases))
        if isolate and not any(lease.isolated for lease in leases):
            self._host.isolation.release()
        elif isolate:
            self._denied_isolation = True  # perhaps there are more, of which it will not hear again
        self.admitted, self.seen, self.due_ms = reply.admitted or not leasing, reply.seen, reply.due_ms
        if self._leasing and self._room.free and reply.admitted:
            self._has_room.set()
            if not room:  # it has come since: nobody rings for who asked for nothing
                self._turn.set()
        else:
            self._has_room.clear()
        if any(lease.run.replays == 0 and not lease.journal for lease in leases if not lease.is_poller):
            self.last_arrival = self._store.clock.local()
        self._host.start(leases)
        self._host.cancel(self.slot, reply.cancels)
        if reply.workers:
            self._host.call_for(self.slot, reply.workers)
        self._took_all_it_asked_for = 0 < room == len(leases)
        if not (leasing or self._leasing):
            self._led_out.set()
        return reply

    def _report_absence(self, problem: str) -> None:
        """Say once that the store is away, not at each try."""
        if not self._is_store_away:
            _log.warning("queue %s: waiting for the store: %s", self.slot, problem)
        self._is_store_away = True

    def _in_time(self, leases: tuple[Lease, ...]) -> tuple[Lease, ...]:
        """The leases, unless they ran out on their way here: then they are handed back, unstarted.

        At once, as the next exchange would reap them.
        """
        if not leases or self._store.clock.local() < leases[0].expires_at:
            return leases
        for lease in leases:
            self.send(Message(lease.id.key, lease.fence, Settlement.HANDED_BACK))
        return ()

    async def _keep_pace(self) -> None:
        """Let a third turn in quick succession wait a little, so that it carries more.

        A task that comes alone takes two turns, to lease it and to settle it, and waits for neither.
        """
        loop = asyncio.get_running_loop()
        self._paced_at = max(self._paced_at + PACE_S, loop.time())
        ahead_s = self._paced_at - loop.time() - PACE_S
        if ahead_s > 0:
            await asyncio.sleep(ahead_s)

    async def _pause(self, reply: ExchangeReply) -> None:
        """Until there is something to settle, a bell rings, something is due, or it is time to refresh."""
        seconds = REFRESH_S if reply.admitted else EXCESS_S
        if reply.next_due_ms is not None:
            now_ms = self._store.clock.now_ms()
            if now_ms is None:
                return  # the sample has just expired; the next exchange takes another
            seconds = min(seconds, max(0.001, (reply.next_due_ms - now_ms + 1) / 1000))
        try:
            async with asyncio.timeout(seconds):
                await self._turn.wait()
        except TimeoutError:
            return

    async def _listen(self, bell: str, gate: asyncio.Event) -> None:
        """Block on a bell while its gate is open; each token is a reason for an exchange."""
        is_deaf = False
        while True:
            await gate.wait()
            try:
                async with asyncio.timeout(2 * BLOCK_S):
                    token = await self._bell_client.execute_command("BLPOP", bell, BLOCK_S)
                is_deaf = False
            except (StoreError, TimeoutError) as error:
                if not is_deaf:  # once, also where exchanges succeed meanwhile
                    _log.warning(
                        "queue %s: its bell cannot be heard: %s", self.slot, str(error) or "no answer"
                    )
                is_deaf = True
                await asyncio.sleep(_PAUSE_S)
                token = [b"", b""]
            if token is not None:
                self._turn.set()


def _fitting(outbox: Sequence[tuple[Message, Answered | None]]) -> int:
    """How many of the first messages go into one exchange."""
    total = 0
    for count, (message, _) in enumerate(outbox[:BATCH]):
        total += len(message.body)
        if message.verb is Verb.LINES:  # small as they are, each is a write
            total += message.number * MAX_BYTES // MOST_LINES
        if total > MAX_BYTES and count:
            return count
    return min(len(outbox), BATCH)
