"""The floor of a worker: the attempts that it works on, and those of them that only wait."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final, ParamSpec, TypeVar

from bide.context import StopReason
from bide.errors import StoreUnavailable
from bide.exchange import BATCH, Event, Lease, Message, Settlement
from bide.ids import TaskId
from bide.poller import Poller, Watcher
from bide.reads import Reads
from bide.registry import Registry
from bide.settings import Settings
from bide.store import Store
from bide.worker.attempt import Attempt
from bide.worker.heartbeat import Held
from bide.worker.lane import Answered, Lane
from bide.worker.limits import Limits
from bide.worker.meter import Meter
from bide.worker.polling import Rounds
from bide.worker.room import Isolation, Room
from bide.worker.runner import PATIENCE_S, Runner
from bide.worker.scribe import Scribe

UNWIND_S: Final = 2.0
"""How long the code of a parked task may take to unwind."""
_PAUSE_S: Final = 0.25
"""Between tries while the store is away."""

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)


class Floor:
    """Runs leases as attempts; see Workplace and polling.Telling for what those ask of it."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        executor: Executor,
        store: Store,
        lanes: Mapping[str, Lane],
        patience_s: float = PATIENCE_S,
    ) -> None:
        """lanes: by slot; filled before the first lease. patience_s: see Runner."""
        self.executor = executor
        self.local = store.clock.local
        self.meter = Meter(store.clock.local)
        self.limits = Limits()
        self.scribe = Scribe(self.send, self.now_ms, keeps=settings.records)
        self.isolation = Isolation(self._on_isolation)
        self._shared = Room(settings.concurrency, self._on_room)
        self._rooms = {
            queue: Room(settings.limits(queue).concurrency, self._on_room)
            for queue, _ in settings.queue_limits
            if settings.has_own_places(queue)
        }
        self.waiting: set[Attempt] = set()
        """Attempts that only wait, and are kept."""
        self.leaving = False
        """Park whatever comes to wait."""
        self.has_worked = False
        self.ended_at = -math.inf
        """Local clock: when a task last ended here."""
        self.changed = asyncio.Event()
        """Set when an attempt has come to wait, or has ended."""
        self.hurry: Callable[[], object] = lambda: None
        """Has all leases renewed at once; whoever renews them sets it."""
        self._settings = settings
        self._store = store
        self._reads = Reads(store)
        self._lanes = lanes
        self._runner = Runner(registry, rounds=Rounds(self), patience_s=patience_s)
        self._attempts: dict[str, dict[bytes, Attempt]] = {}
        self._unsure: dict[Attempt, asyncio.Future[None]] = {}
        """Attempts whose leases may have run out, until the store has said whether they are renewed."""

    # --- leases -----------------------------------------------------------------------------

    def room(self, slot: str) -> Room:
        """The places for a queue's tasks: its own, or those that it shares with the others."""
        return self._rooms.get(slot, self._shared)

    def start(self, leases: Sequence[Lease]) -> None:
        """Run these tasks; their room has been reserved."""
        for lease in leases:
            attempt = Attempt(lease, self)
            attempts = self._attempts.setdefault(lease.id.slot, {})
            older = attempts.get(lease.id.key)
            if older is not None and not older.is_over:
                self.lose(lease.id.slot, (older.lease_held,))  # heartbeats name only the later one
            attempts[lease.id.key] = attempt
            run = self._runner.run_poller if lease.is_poller else self._runner.run
            attempt.start(run(attempt))
        if leases:
            self.has_worked = True
            slot = leases[0].id.slot
            self._lanes[slot].watch_cancels(True)
            if not self.room(slot).free:
                for lane in self._lanes.values():
                    lane.tell_full()

    def cancel(self, slot: str, keys: Sequence[bytes]) -> None:
        """Cancel these tasks, where they run here."""
        for key in keys:
            attempt = self._attempts.get(slot, {}).get(key)
            if attempt is not None:
                attempt.stop(StopReason.CANCEL)

    def lose(self, slot: str, leases: Sequence[tuple[bytes, int]]) -> None:
        """Stop what others have now, or this worker by a later lease."""
        if self._store.log is not None:
            self._store.log.forget(slot, leases)
        for attempt in self._holders(slot, leases):
            if attempt.context.stopping is None:
                _log.warning("%s: its lease was lost; stopped here", attempt.id)
            attempt.lose()
            self._answer(attempt)

    def renew(self, slot: str, leases: Sequence[tuple[bytes, int]], until: float) -> None:
        """These have been renewed: nobody else can have them until then, by the local clock."""
        for attempt in self._holders(slot, leases):
            if not attempt.is_lost:
                attempt.held_until = until
            self._answer(attempt)

    def _holders(self, slot: str, leases: Sequence[tuple[bytes, int]]) -> Iterator[Attempt]:
        """The attempts that hold these leases here."""
        attempts = self._attempts.get(slot, {})
        for key, fence in leases:
            attempt = attempts.get(key)
            if attempt is not None and attempt.fence == fence:
                yield attempt

    def _answer(self, attempt: Attempt) -> None:
        """Tell whoever waits to hear whether the attempt still holds its lease."""
        asked = self._unsure.pop(attempt, None)
        if asked is not None:
            asked.set_result(None)

    def held(self) -> Iterator[Held]:
        """What to renew. Called in the heartbeat's thread; `list` of a dict's values is atomic in CPython.

        Part by part: lists of thousands of leases would be much of what so many waits take.
        """
        for slot, by_key in list(self._attempts.items()):
            attempts = list(by_key.values())
            for first in range(0, len(attempts), BATCH):
                part = [each.lease_held for each in attempts[first : first + BATCH] if not each.is_over]
                if part:
                    yield slot, part

    def attempts(self) -> Iterator[Attempt]:
        """All of them, waiting or not."""
        for attempts in self._attempts.values():
            yield from attempts.values()

    @property
    def busy(self) -> bool:
        """Whether some attempt does more than wait."""
        return sum(map(len, self._attempts.values())) > len(self.waiting)

    def park_all(self) -> None:
        """Park what only waits, as far as it can be."""
        for attempt in tuple(self.waiting):
            self._park(attempt)

    async def emptied(self) -> bool:
        """True once no attempt is left; False as soon as one goes on."""
        while any(self._attempts.values()):
            if any(attempt.context.stopping is None for attempt in self.attempts()):
                return False
            self.changed.clear()
            await self.changed.wait()
        return True

    def on_end(self, attempt: Attempt, work: asyncio.Task[Message | None]) -> None:
        settle = None if work.cancelled() else work.result()
        if settle is not None:
            if settle.verb is not Settlement.PARKED:
                self.ended_at = self._store.clock.local()
            self._settle(attempt, settle)
        self._forget_with_threads(attempt, None)

    def _settle(self, attempt: Attempt, settle: Message) -> None:
        """Send what it has said last, and the end of its lease."""
        self.scribe.finish(attempt)
        attempt.let_go()
        if self._store.log is not None and attempt.began_ms:
            self._store.log.hold(attempt.id, attempt.fence, attempt.name, attempt.attempt, attempt.began_ms)
            attempt.began_ms = 0  # of a second settle there is nothing to tell
        self._lanes[attempt.id.slot].send(settle)

    def _forget_with_threads(self, attempt: Attempt, _: object) -> None:
        """Forget an attempt once its threads are free: until then, so is not its place."""
        for thread in attempt.threads:
            if not thread.done():
                again = partial(self._forget_with_threads, attempt)
                loop = asyncio.get_running_loop()
                thread.add_done_callback(partial(loop.call_soon_threadsafe, again))
                return
        self._forget(attempt)

    def _forget(self, attempt: Attempt) -> None:
        id = attempt.id
        attempts = self._attempts[id.slot]
        # A lease that was lost may have come back to this worker meanwhile.
        if attempts.get(id.key) is attempt:
            del attempts[id.key]
        if attempt.isolated:
            self.isolation.release()
        if not attempts:
            self._lanes[id.slot].watch_cancels(False)
        self.waiting.discard(attempt)
        self._unsure.pop(attempt, None)
        self._free(attempt)
        self.changed.set()

    def _free(self, attempt: Attempt) -> None:
        """Give its place to others."""
        if attempt.holds_room:
            attempt.holds_room = False
            self.room(attempt.id.slot).release(1)

    def _on_room(self) -> None:
        for lane in self._lanes.values():
            lane.nudge()

    def _on_isolation(self) -> None:
        for lane in self._lanes.values():
            lane.nudge(isolation=True)

    # --- what attempts ask --------------------------------------------------------------------

    def now_ms(self) -> int:
        return self._store.clock.estimate_ms()

    def send(self, slot: str, message: Message, answered: Answered | None = None) -> None:
        self._lanes[slot].send(message, answered)

    async def renewal(self, attempt: Attempt) -> None:
        asked = self._unsure.get(attempt)
        if asked is None:
            asked = self._unsure[attempt] = asyncio.get_running_loop().create_future()
            self.hurry()
        await asyncio.shield(asked)  # branches of the attempt share it

    async def read_events(self, id: TaskId, name: str) -> Sequence[Event]:
        return await _ask(self._reads.unread_events, id, name)

    def on_idle(self, attempt: Attempt) -> None:
        self.waiting.add(attempt)
        if self._store.log is not None:
            self._store.log.rest(attempt.id.slot, attempt.fence)
        self._free(attempt)
        if not self._stays_hot(attempt):
            self._park(attempt)
        self.changed.set()

    def on_busy(self, attempt: Attempt) -> None:
        self.waiting.discard(attempt)

    def readmit(self, attempt: Attempt, go_on: Callable[[], bool]) -> None:
        def enter() -> bool:
            attempt.holds_room = go_on()
            return attempt.holds_room

        if attempt.isolated:
            go_on()  # it has the place for isolated tasks
        else:
            self.room(attempt.id.slot).take(enter)

    def _stays_hot(self, attempt: Attempt) -> bool:
        """A short wait for a time alone; what only the store can end is parked at once."""
        due_at = attempt.waits.due_at
        if self.leaving or due_at is None or attempt.waits.awaits:
            return False
        left_s = due_at - asyncio.get_running_loop().time()
        return left_s <= self._settings.hot_wait_seconds and len(self.waiting) <= self._settings.hot_waits

    def _park(self, attempt: Attempt) -> None:
        if attempt.parkable and attempt.context.stopping is None:
            attempt.stop(StopReason.PARK)
            asyncio.get_running_loop().call_later(UNWIND_S, self._insist, attempt)

    def give_up(self, attempt: Attempt, lives_s: float | None) -> None:
        """Settle what does not end although the worker leaves, after `lives_s` if that is why."""
        if lives_s is not None and not attempt.can_wait:
            self._settle(attempt, self._runner.outlived(attempt, lives_s))
        else:
            self._settle(attempt, attempt.settle(Settlement.HANDED_BACK))

    @property
    def has_threads(self) -> bool:
        """Whether a plain function still runs."""
        return any(not thread.done() for attempt in self.attempts() for thread in attempt.threads)

    def _insist(self, attempt: Attempt) -> None:
        """Fail a parked task whose code will not unwind: nobody could say what it still does."""
        if attempt.is_over or attempt.context.stopping is not StopReason.PARK:
            return
        self._settle(attempt, self._runner.stuck(attempt, UNWIND_S))
        attempt.context.stopping = StopReason.LOST
        if attempt.work is not None:
            attempt.work.cancel()

    # --- what rounds ask ----------------------------------------------------------------------

    async def tell(self, slot: str, messages: Sequence[Message]) -> None:
        if not messages:
            return
        told = asyncio.Event()
        for message in messages[:-1]:
            self.send(slot, message)
        self.send(slot, messages[-1], lambda _: told.set())
        await told.wait()

    async def watchers(self, poller: Poller) -> list[Watcher]:
        return await _ask(self._reads.watchers, poller)

    async def awaiting(self, slot: str, waits: Sequence[tuple[bytes, int]]) -> str:
        return await _ask(self._reads.awaiting, slot, waits)


async def _ask(read: Callable[Asked, Answer], *args: Asked.args, **named: Asked.kwargs) -> Answer:
    """What the store answers, whenever that is: no attempt fails because the store is away."""
    while True:
        try:
            return await asyncio.to_thread(read, *args, **named)
        except StoreUnavailable:  # the lane says so
            await asyncio.sleep(_PAUSE_S)
