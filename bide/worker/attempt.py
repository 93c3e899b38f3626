"""A lease being worked on: what the task's operations reach the worker by, and what it has cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from sys import intern
from typing import TYPE_CHECKING, Any, Final

from bide.context import Context, StopReason
from bide.errors import Interrupted
from bide.exchange import EXIT_TRIES, Event, Lease, Message, Settlement, Usage, Verb
from bide.poller import Poller
from bide.retry import Retry
from bide.worker import branches
from bide.worker.journal import Journal
from bide.worker.operations import Operations
from bide.worker.raised import guarded
from bide.worker.scribe import Lines, Scribe
from bide.worker.waits import NO_CONTEXT, Waits

if TYPE_CHECKING:
    from bide.worker.workplace import Workplace

_WITHOUT_LIMIT: Final = float("inf")
_OVER: Final = float("-inf")
_LOST: Final = "The lease was lost; another worker has the task."
_OF_TIME: Final = (StopReason.TIMEOUT, StopReason.DEADLINE)

LATE: Final = object()
"""What a thread gives that has found its attempt's lease run out, and has called nothing."""


class Attempt(Operations):
    """One lease, from its start to its settle. It is the operations' Engine, and its waits' Idler."""

    __slots__ = (
        "_active_s", "_announcing", "_billed_s", "_deadline", "_entered", "_events", "_exits", "_floor",
        "_heard", "_limit_s", "_parked", "_replays", "_runs", "_since", "_waited_s", "attempt", "began_ms",
        "calls", "can_wait", "context", "ending", "fence", "foreign", "held_until", "holds_room", "id",
        "is_waiting", "isolated", "journal", "lease", "lines", "name", "policy", "polls", "refused_ms",
        "threads", "tries",
        "waits", "work",
    )  # fmt: skip

    def __init__(self, lease: Lease, floor: Workplace[Attempt]) -> None:
        self.id = lease.id
        self.fence = lease.fence
        self.name = intern(lease.spec.name) if lease.spec else ""
        self.attempt = lease.attempt
        """Its number, from 1."""
        of_earlier_lives = lease.run.max_attempts - lease.spec.max_attempts if lease.spec else 0
        self.tries = lease.attempt - of_earlier_lives
        """The same counted anew since somebody had the task retried."""
        self.isolated = lease.isolated
        self.began_ms = lease.run.began_ms
        self.refused_ms = lease.run.refused_ms
        self.held_until = lease.expires_at
        """Local clock: until then nobody else can have the task. Heartbeats move it on."""
        self.lease: Lease | None = lease
        """What its start needs; None afterwards, as thousands of attempts may wait at a time."""
        self.context = Context(lease.id, lease.attempt, self)
        self.ending = (Settlement(lease.run.ending), lease.run.outcome) if lease.run.ending else None
        """State and outcome that the task ends with: the lease is for what it has asked to be run then. Its
        journal is replayed for that alone."""
        self.journal = Journal(lease.journal, replay_only=self.ending is not None)
        self.lines: Lines | None = None
        """What it has said, once it has."""
        self.waits = Waits(self)
        self.work: asyncio.Task[Message | None] | None = None
        self.threads: tuple[Future[Any], ...] = ()
        """What plain functions run in. They may outlive the attempt: threads cannot be ended."""
        self.foreign: tuple[asyncio.Task[Any], ...] = ()
        """Asyncio tasks that the code made itself."""
        self.can_wait = True
        self.policy: Retry | None = None
        """Of a plain function: what to do when it fails."""
        self.is_waiting = False
        self.holds_room = True
        self.polls = self.calls = 0
        self._exits = lease.run.exits
        """As the store knows them, or has been told."""
        self._announcing: asyncio.Event | None = None
        """Set when it has been told, and has answered."""
        self._events = lease.events
        self._heard = max((event.number for event in lease.events), default=0)
        """Number of the latest event that it knows of."""
        self._floor = floor
        self._runs = False
        self._replays = 1 if lease.journal else 0
        self._limit_s = _WITHOUT_LIMIT
        self._active_s = lease.run.active_ms / 1000
        self._since = 0.0
        """When it last went on or, while it waits, began to."""
        self._entered: float | None = None
        self._billed_s = self._waited_s = 0.0
        self._deadline: asyncio.TimerHandle | None = None
        self._parked: tuple[float | None, tuple[str, ...]] = (None, ())
        if lease.run.cancelling:
            self.stop(StopReason.CANCEL)

    # --- its course ---------------------------------------------------------------------------

    def begin(self, limit_s: float) -> None:
        """Its code starts: charge it, and end it when it has been active for `limit_s`, or at its deadline.

        Raises CancelledError when the attempt was stopped before it began.
        """
        self._runs = True
        if self.context.stopping is not None:
            raise asyncio.CancelledError
        self._limit_s = limit_s
        assert self.lease is not None, "begun once"
        deadline_ms, self.lease = self.lease.run.deadline_ms, None
        if deadline_ms and self.ending is None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_at(self.loop_time(deadline_ms), self.stop, StopReason.DEADLINE)
        self._go_on()

    def start(self, work: Coroutine[Any, Any, Message | None]) -> None:
        """Run it."""
        # Without the loop's factory: it is nobody's foreign task.
        self.work = asyncio.Task(work, loop=asyncio.get_running_loop())
        self.work.add_done_callback(self._on_end, context=NO_CONTEXT)

    def _on_end(self, work: asyncio.Task[Message | None]) -> None:
        self._floor.on_end(self, work)

    def end(self) -> None:
        """Its code has ended: charge it no longer, and let nothing stop what it has left for its end."""
        self._runs = False
        if self._deadline is not None:
            self._deadline.cancel()
        if self._entered is not None:
            self._hold()

    def stop(self, reason: StopReason) -> None:
        """Ask the attempt to end: an async task at its next await, a thread at its next check.

        A thread that does not check in time goes on, but nobody waits for it.
        """
        if self.ending is not None and reason is StopReason.CANCEL:
            return  # it has been
        if self.context.stopping is None:
            self.context.stopping = reason
            self._parked = self.waits.due_at, self.waits.awaits
            # Cancelled before its first step, a coroutine would vanish without a settle.
            if self._runs and self.work is not None and (self.can_wait or reason in _OF_TIME):
                self.work.cancel()

    def let_go(self) -> None:
        """Its lease is over, or will be with the settle that is on its way: nothing may begin under it."""
        self.held_until = _OVER

    def lose(self) -> None:
        """Another worker has the task."""
        self.let_go()
        self.stop(StopReason.LOST)

    def settle(self, settlement: Settlement, outcome: bytes | str = b"", delay_ms: int = 0) -> Message:
        """The message that ends the lease."""
        key, fence = self.lease_held
        return Message(key, fence, settlement, delay_ms, outcome, self._usage().packed())

    def park(self) -> Message:
        """The settle that parks it until its first wait is due, or one of its events comes."""
        self.flush()
        (due_at, awaits), delay_ms = self._parked, -1
        if due_at is not None:
            delay_ms = max(0, round((due_at - asyncio.get_running_loop().time()) * 1000))
        return self.settle(Settlement.PARKED, " ".join(awaits), delay_ms)

    def leave_exits(self, settle: Message) -> Message:
        """The same end of the lease; what is to be run at the task's end is left to another one."""
        return settle._replace(extra=self._usage()._replace(exits=1).packed())

    @property
    def is_cut_short(self) -> bool:
        """Whether it was stopped before its code came to where earlier leases left it: then it has not asked
        for all that is to be run at the task's end.
        """
        if self.context.stopping is None:
            return False
        has_begun = self.lease is None
        return not has_begun or self.journal.behind > 0 or (self._exits > 0 and not self.context.exits)

    def flush(self) -> None:
        """Write the entries that have not been, before the settle that follows."""
        self._send(*self._entries(self.journal.unsaved()))

    def _usage(self) -> Usage:
        return Usage(
            round(self._billed_s * 1e6), round(self._waited_s * 1000), self._replays, self.polls, self.calls,
            round(self._active_s * 1000), 0, self.name,
        )  # fmt: skip

    @property
    def lease_held(self) -> tuple[bytes, int]:
        """The task's id in the store, and the lease's fence."""
        return self.id.key, self.fence

    @property
    def holds_lease(self) -> bool:
        """Whether the lease cannot have run out; if it may have, only the store knows who has the task."""
        return self._floor.local() < self.held_until

    @property
    def is_lost(self) -> bool:
        """Whether the lease is over: the store need not be asked."""
        return self.held_until == _OVER

    @property
    def is_over(self) -> bool:
        """It has ended, though its threads may go on."""
        return self.work is not None and self.work.done()

    @property
    def parkable(self) -> bool:
        """Whether it can be taken off the worker and put back by a replay."""
        return self.is_waiting and not self.owns_foreign

    # --- charging -----------------------------------------------------------------------------

    def _go_on(self) -> None:
        self._since = asyncio.get_running_loop().time()
        self._entered = self._floor.meter.enter()
        if self._limit_s != _WITHOUT_LIMIT:
            self._floor.limits.add(self, self._since + max(0.0, self._limit_s - self._active_s))

    def _hold(self) -> None:
        assert self._entered is not None
        self._billed_s += self._floor.meter.leave(self._entered)
        self._entered = None
        now = asyncio.get_running_loop().time()
        self._active_s += now - self._since
        self._since = now
        self._floor.limits.discard(self)

    def time_out(self) -> None:
        """It has been active for as long as it may be."""
        self.stop(StopReason.TIMEOUT)

    # --- as the waits' Idler ------------------------------------------------------------------

    def on_idle(self) -> None:
        self._hold()
        self.is_waiting = True
        self._floor.on_idle(self)

    def readmit(self, go_on: Callable[[], bool]) -> None:
        self._floor.readmit(self, go_on)

    def on_busy(self) -> None:
        if self.is_waiting:
            self.is_waiting = False
            self._waited_s += asyncio.get_running_loop().time() - self._since
            self._go_on()
            self._floor.on_busy(self)

    # --- as the operations' Engine ------------------------------------------------------------

    @property
    def task_id(self) -> str:
        return str(self.id)

    @property
    def owns_foreign(self) -> bool:
        return any(not task.done() for task in self.foreign)

    def now_ms(self) -> int:
        return self._floor.now_ms()

    def loop_time(self, ms: int) -> float:
        return asyncio.get_running_loop().time() + (ms - self._floor.now_ms()) / 1000

    async def save(self, unsaved: Sequence[tuple[int, bytes, int]]) -> None:
        if not unsaved:
            return
        committed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        *others, last = self._entries(unsaved)
        self._send(*others)
        self._floor.send(self.id.slot, last, lambda counted: _answer(committed, counted))
        if not await committed:
            self.lose()
            raise Interrupted(_LOST)

    async def assure(self) -> None:
        while not self.holds_lease:
            if self.is_lost:
                raise Interrupted(_LOST)
            await self._floor.renewal(self)

    def note_exit(self) -> None:
        # What a plain function asks for, or a step in a thread, no replay would come to.
        if not self.can_wait or self._exits == EXIT_TRIES or not _is_on_loop():
            return
        self._exits, self._announcing = EXIT_TRIES, asyncio.Event()
        self._floor.send(self.id.slot, Message(*self.lease_held, Verb.EXITS), self._on_announced)

    def _on_announced(self, counted: bool) -> None:
        assert self._announcing is not None, "noted"
        self._announcing.set()
        self._announcing = None
        if not counted:
            self.lose()

    async def announced(self) -> None:
        if self._announcing is not None:
            await self._announcing.wait()

    async def in_thread(self, call: Callable[[], Any]) -> Any:
        while True:
            await self.assure()
            result = await asyncio.shield(self.begin_thread(guarded, call))
            if result is not LATE:
                return result

    def begin_thread(self, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Call a plain function in a thread, which counts as the attempt's until it ends.

        It gives LATE, and calls nothing, when the lease has run out before a thread was free.
        """
        thread = self._floor.executor.submit(self._in_time, copy_context().run, function, *args)
        self.threads = (*(old for old in self.threads if not old.done()), thread)
        result = asyncio.wrap_future(thread)
        # Perhaps nobody waits for it any more when it ends.
        result.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return result

    def _in_time(self, run: Callable[..., Any], *args: Any) -> Any:
        return run(*args) if self.holds_lease else LATE

    async def read_events(self, name: str) -> None:
        known = {event.number for event in self._events}
        unread = {event.number: event for event in await self._floor.read_events(self.id, name)}
        kept = (
            unread[event.number] if event.body is None and event.number in unread else event
            for event in self._events
            if event.number in unread or event.number not in known  # else a later lease has read it
        )
        # Of a lower number is what a branch has taken, and the store does not know of it yet.
        new = (event for number, event in unread.items() if number > self._heard)
        self._events = (*kept, *new)
        self._heard = max(self._heard, *unread, 0)

    def find_event(self, name: str) -> Event | None:
        return next((event for event in self._events if event.name == name), None)

    def take_event(self, event: Event) -> None:
        self._events = tuple(other for other in self._events if other is not event)

    async def watch(self, poller: Poller, key: Any, token: str) -> None:
        await self.assure()
        member = poller.member(key, self.task_id, token)
        heard: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        message = Message(poller.home.key, 0, Verb.WATCH, round(poller.every_s * 1000), member, poller.name)
        self._floor.send(poller.queue, message, lambda counted: _answer(heard, counted))
        await heard

    def unwatch(self, poller: Poller, key: Any, token: str) -> None:
        member = poller.member(key, self.task_id, token)
        self._floor.send(poller.queue, Message(poller.home.key, 0, Verb.UNWATCH, 0, member))

    @property
    def scribe(self) -> Scribe:
        return self._floor.scribe

    def report_progress(self, fraction: float, message: str) -> None:
        if not branches.replaying():  # else it was said before
            self.scribe.report(self, fraction, message)

    def _send(self, *messages: Message) -> None:
        for message in messages:
            self._floor.send(self.id.slot, message)

    def _entries(self, unsaved: Iterable[tuple[int, bytes, int]]) -> list[Message]:
        key, fence = self.lease_held
        return [
            Message(key, fence, Verb.JOURNAL, position, packed, str(event))
            for position, packed, event in unsaved
        ]


def _is_on_loop() -> bool:
    """Whether this is the event loop's thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _answer(future: asyncio.Future[bool], counted: bool) -> None:
    if not future.done():
        future.set_result(counted)
