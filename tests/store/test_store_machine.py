"""Random lives of tasks and workers: after every step each task is where its state says.

hypothesis prints the steps, the seed and a line that plays a failure again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from random import Random
from typing import Any

import hypothesis.strategies as st
import pytest
import redis.asyncio
from hand_clock import HandClock, ManyClocks
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from prefixes import new_prefix
from scripted_worker import ScriptedWorker, deliver, entry, exits, park, settle
from slot_contents import Slot, read_slot, wipe
from submissions import submission

from bide.bulk import Bulk, Kind
from bide.connection import connect
from bide.errors import (
    IdempotencyConflict,
    NotUnique,
    ScriptError,
    TaskFinished,
    TaskNotFailed,
    TaskNotFound,
)
from bide.exchange import EXIT_TRIES, ExchangeReply, Lease, Message, Settlement, Usage, Verb
from bide.history import History, Outcome, read_history
from bide.ids import TaskId
from bide.keys import SERVER_KEYS, Keys
from bide.records import Run, Spec
from bide.replies import Need
from bide.state import TRANSITIONS, State
from bide.store import Store
from bide.wake import NoWake, Waker

PLACES = {
    State.SCHEDULED: {"due"},
    State.RETRYING: {"due"},
    State.WAITING: {"due"},
    State.READY: {"ready", "isolated"},
    State.RUNNING: {"leased"},
    State.SUCCEEDED: {"done"},
    State.FAILED: {"done"},
    State.CANCELLED: {"done"},
    State.EXPIRED: {"done"},
}

ENDINGS = [settlement for settlement in Settlement if settlement is not Settlement.POLLED]
"""Of tasks; only a poller's round ends `polled`."""

ENDS = [state for state in State if state.done]

ENDING = [State.READY, State.RUNNING, State.RETRYING]
"""Of a task that has only to do what it has asked for at its end."""

WORKERS = st.sampled_from(["a", "b", "c"])
SPANS_MS = st.sampled_from([1, 400, 2_500, 9_999, 10_000, 40_000])


def _reachable() -> dict[State, set[State]]:
    """States that several transitions in a row can lead to, but for a retry; one step may make several."""
    reach = {state: {state} if state.done else {state, *TRANSITIONS[state]} for state in State}
    for _ in State:
        reach = {state: set().union(*(reach[via] for via in vias)) for state, vias in reach.items()}
    return reach


REACHABLE = _reachable()


class Lives(RuleBasedStateMachine):
    """What may happen, in any order. `connections` is set by the test."""

    connections: tuple[str, redis.Redis, redis.asyncio.Redis, asyncio.Runner]

    def __init__(self) -> None:
        super().__init__()
        url, self._client, self._async_client, self._runner = self.connections
        self._clock = self._new_clock()
        self._store = Store(connect(url), Keys(new_prefix()), self._clock)
        self._boots = dict.fromkeys("abc", 1)
        self._workers = {name: self._start(name) for name in "abc"}
        self._held: list[tuple[str, Lease]] = []
        self._ended: list[tuple[str, Lease]] = []
        self._ids: list[TaskId] = []
        self._outcomes: dict[tuple[bytes, int], tuple[State, bytes | None]] = {}
        self._before = self._look()
        self._highest_fence = 0

    def _new_clock(self) -> HandClock:
        return HandClock()

    def _start(self, name: str) -> ScriptedWorker:
        return ScriptedWorker(self._store, self._runner, self._async_client, name, self._boots[name])

    def _look(self) -> Slot:
        return read_slot(self._client, self._store.keys)

    @property
    def _is_paused(self) -> bool:
        return "paused" in self._before.meta

    def _took(self, name: str, reply: ExchangeReply) -> None:
        assert not (self._is_paused and (reply.leases or reply.ready or reply.workers)), "paused"
        for lease in reply.leases:
            assert lease.fence > self._highest_fence, "fences grow with every lease"
            self._highest_fence = lease.fence
            self._held.append((name, lease))

    @initialize()
    def register(self) -> None:
        self._store.register("default")

    # --- what may happen --------------------------------------------------------------

    @rule(
        delay_ms=st.sampled_from([0, 0, 500, 5_000]),
        key=st.sampled_from(["", "", "k1", "k2"]),
        fingerprint=st.sampled_from([b"f" * 16, b"g" * 16]),
        max_attempts=st.integers(1, 3),
        retention_ms=st.sampled_from([1, 1_000, 60_000]),
        expires_ms=st.sampled_from([0, 0, 500, 20_000]),
        deadline_ms=st.sampled_from([0, 0, 2_000, 30_000]),
        unique=st.sampled_from(["", "", "", "u"]),
    )
    def submit(self, key: str, **fields: Any) -> None:
        fields["fingerprint"] = fields["fingerprint"] if key else b""
        with suppress(IdempotencyConflict, NotUnique):
            accepted = self._store.submit(submission(idempotency_key=key, **fields))
            assert accepted.seen == (accepted.id in self._ids)
            assert accepted.need == Need() or not self._is_paused
            if not accepted.seen:
                self._ids.append(accepted.id)

    @rule(
        name=WORKERS,
        capacity=st.sampled_from([4, 2, 1, 0]),
        isolate=st.booleans(),
        listen_ms=st.sampled_from([0, 5_000]),
        lease_ms=st.sampled_from([2_000, 10_000]),
    )
    def exchange(self, name: str, **options: Any) -> None:
        reply = self._workers[name].exchange(**options)
        assert len(reply.leases) <= options["capacity"]
        assert sum(lease.isolated for lease in reply.leases) <= options["isolate"]
        self._took(name, reply)

    @precondition(lambda self: self._held)
    @rule(data=st.data(), settlement=st.sampled_from(ENDINGS), capacity=st.integers(0, 2))
    def settle_one(self, data: st.DataObject, settlement: Settlement, capacity: int) -> None:
        """Perhaps of a lease that has been lost in the meantime."""
        name, lease = self._held.pop(data.draw(st.integers(0, len(self._held) - 1)))
        self._ended.append((name, lease))
        self._settle(name, lease, settlement, capacity)

    @precondition(lambda self: self._ended)
    @rule(data=st.data(), settlement=st.sampled_from(ENDINGS))
    def settle_again(self, data: st.DataObject, settlement: Settlement) -> None:
        """A late, second, perhaps different outcome of a lease that has been settled or lost."""
        name, lease = data.draw(st.sampled_from(self._ended))
        self._settle(name, lease, settlement, 0)

    @precondition(lambda self: self._held)
    @rule(data=st.data())
    def end_in_haste(self, data: st.DataObject) -> None:
        """A task ends, and what it has asked for at its end is left to another lease."""
        name, lease = self._held.pop(data.draw(st.integers(0, len(self._held) - 1)))
        self._ended.append((name, lease))
        self._tell(name, settle(lease, "failed", b'"hasty"', usage=Usage(exits=1)), lease)

    def _settle(self, name: str, lease: Lease, settlement: Settlement, capacity: int) -> None:
        run = self._before.runs.get(lease.id.key)
        self._tell(name, _end(lease, settlement, run.max_attempts if run else 1), lease, capacity)

    def _tell(self, name: str, message: Message, lease: Lease, capacity: int = 0) -> None:
        run = self._before.runs.get(lease.id.key)
        current = run is not None and run.fence == lease.fence
        if message.verb in (Verb.JOURNAL, Verb.EXITS):
            current = current and run is not None and run.state == State.RUNNING
        reply = self._workers[name].exchange(message, capacity=capacity)
        if run is not None and run.state.done:  # the exchange may have forgotten it first
            current = current and lease.id.key in self._look().runs
        assert reply.lost == (() if current else (0,))
        self._took(name, reply)

    @precondition(lambda self: self._held)
    @rule(
        data=st.data(),
        delay_ms=st.sampled_from([-1, 0, 700, 15_000]),
        awaits=st.sampled_from(["", "go", "stop", "stop go"]),
        asks=st.booleans(),
    )
    def park(self, data: st.DataObject, delay_ms: int, awaits: str, asks: bool) -> None:
        name, lease = self._held.pop(data.draw(st.integers(0, len(self._held) - 1)))
        self._ended.append((name, lease))
        if asks:
            self._tell(name, exits(lease), lease)
        self._tell(name, park(lease, awaits, delay_ms=delay_ms), lease)

    @precondition(lambda self: self._held)
    @rule(data=st.data(), reads=st.booleans())
    def write_entry(self, data: st.DataObject, reads: bool) -> None:
        """Perhaps of a lease that has been lost, and perhaps for an event that it has read."""
        name, lease = data.draw(st.sampled_from(self._held))
        run = self._before.runs.get(lease.id.key)
        event = lease.events[0].number if reads and lease.events else 0
        self._tell(name, entry(lease, run.journal + 1 if run else 1, event=event), lease)

    @precondition(lambda self: self._ids)
    @rule(data=st.data(), event=st.sampled_from(["go", "stop"]), key=st.sampled_from(["", "k"]))
    def send_event(self, data: st.DataObject, event: str, key: str) -> None:
        id = data.draw(st.sampled_from(self._ids))
        old = self._before.runs.get(id.key)
        with suppress(TaskFinished, TaskNotFound, IdempotencyConflict):
            sent = self._store.send_event(id, "", event, b"1", key=key)
            assert old is not None
            run = self._look().runs[id.key]
            wakes = not sent.seen and old.state == State.WAITING and event in old.awaits.split()
            assert run.state == (State.READY if wakes else old.state)

    @precondition(lambda self: self._ids)
    @rule(data=st.data(), name=WORKERS)
    def deliver_twice(self, data: st.DataObject, name: str) -> None:
        """A poller's answer, with a token of the task's first wait."""
        id = data.draw(st.sampled_from(self._ids))
        self._workers[name].exchange(deliver(id.key, "~1.1"), deliver(id.key, "~1.1"))
        unread = [event for event, _ in self._look().unread(id.key)]
        assert unread.count("~1.1") <= 1

    @rule(name=WORKERS)
    def repeat(self, name: str) -> None:
        """The latest exchange again: nothing new may come of it but what time brings."""
        worker = self._workers[name]
        if not worker.has_exchanged:
            return
        reply = worker.repeat()
        if name not in self._before.ledgers:  # it was silent for so long that it is new again
            self._took(name, reply)
            return
        held = [(lease.id, lease.fence) for holder, lease in [*self._held, *self._ended] if holder == name]
        # Their records may say by now that a cancel was asked.
        assert all((lease.id, lease.fence) in held for lease in reply.leases)

    @rule(name=WORKERS, data=st.data())
    def heartbeat(self, name: str, data: st.DataObject) -> None:
        mine = [lease for holder, lease in self._held if holder == name]
        named = data.draw(st.lists(st.sampled_from(mine), unique_by=lambda lease: lease.id)) if mine else []
        if named:
            lost, _ = self._workers[name].heartbeat(*named)
            gone = {
                lease.id.key
                for lease in named
                if lease.id.key not in self._before.runs
                or self._before.runs[lease.id.key].fence != lease.fence
            }
            assert set(lost) == gone

    @precondition(lambda self: self._ids)
    @rule(data=st.data(), rare=st.booleans())
    def cancel(self, data: st.DataObject, rare: bool) -> None:
        """Of any task; or of one in the places that chance would seldom pick."""
        picked = [id for id in self._ids if id.key in (*self._before.isolated, *self._before.leased)]
        id = data.draw(st.sampled_from(picked if rare and picked else self._ids))
        with suppress(TaskFinished, TaskNotFound):
            cancelled = self._store.cancel(id, "")
            assert cancelled.now == (self._look().runs[id.key].state == State.CANCELLED)

    @precondition(lambda self: self._ids)
    @rule(data=st.data(), rare=st.booleans())
    def retry(self, data: st.DataObject, rare: bool) -> None:
        """Of any task; or of one that has failed."""
        failed = [id for id in self._ids if id.key in self._before.dead]
        id = data.draw(st.sampled_from(failed if rare and failed else self._ids))
        old = self._before.runs.get(id.key)
        try:
            retried = self._store.retry(id, "")
        except TaskNotFound:
            assert old is None
        except TaskNotFailed:
            assert old is not None
            assert old.state != State.FAILED
        except NotUnique:
            assert old is not None
            assert old.state == State.FAILED
            assert any(spec.unique and not self._before.runs[key].state.done for key, spec in self._specs())
        else:
            assert old is not None
            assert retried.seen == (old.retried_ms == self._clock.told_ms or not old.state.done)
            run = self._look().runs[id.key]
            assert run.state == (old.state if retried.seen else State.READY)

    def _specs(self) -> list[tuple[bytes, Spec]]:
        return list(self._before.specs.items())

    @rule(kind=st.sampled_from(Kind), dry_run=st.booleans(), rate=st.sampled_from([0, 2]))
    def operate(self, kind: Kind, dry_run: bool, rate: float) -> None:
        """On every failed task."""
        meant = self._before.dead
        bulk = Bulk(self._store, Waker(self._store, NoWake()))
        done = bulk.begin("default", kind, dry_run=dry_run, rate=rate, goes_on=lambda: True).operation
        assert done.matched == len(meant)
        assert done.changed + done.skipped == (0 if dry_run else len(meant))
        assert len(self._look().dead) == len(self._before.dead) - done.changed

    @rule(name=WORKERS)
    def restart(self, name: str) -> None:
        """A worker dies with its leases; its name starts anew, and the old start has no say."""
        old = self._workers[name]
        self._boots[name] += 1
        self._workers[name] = self._start(name)
        self._workers[name].exchange()
        if old.has_exchanged:
            with pytest.raises(ScriptError):
                old.repeat(capacity=4)

    @rule(name=WORKERS, forced=st.booleans())
    def retire(self, name: str, forced: bool) -> None:
        busy = bool(self._before.ready or self._before.isolated)
        if self._workers[name].retire(window_ms=0, forced=forced):
            self._boots[name] += 1
            self._workers[name] = self._start(name)
        else:
            assert not forced
            assert busy or self._before.due
            assert not self._is_paused

    @rule(paused=st.sampled_from([False, False, True]))
    def pause(self, paused: bool) -> None:
        need = self._store.pause("default", paused)
        assert need == Need() or not paused

    @rule()
    def tick(self) -> None:
        self._store.tick("default", 0)

    @rule(tick=st.booleans())
    def every_lease_runs_out(self, tick: bool) -> None:
        self._clock.pass_ms(10_000)
        if tick:
            self._store.tick("default", 0)

    @rule(ms=SPANS_MS)
    def time_passes(self, ms: int) -> None:
        self._clock.pass_ms(ms)

    # --- what must hold ---------------------------------------------------------------

    @invariant()
    def each_task_is_where_its_state_says(self) -> None:
        before, now = self._before, self._look()
        assert now.runs.keys() == now.specs.keys()
        for key, run in now.runs.items():
            self._check_run(now, key, run)
        indexed = {
            key for name in ("ready", "isolated", "due", "leased", "done") for key in getattr(now, name)
        }
        timeless = {key for key, run in now.runs.items() if run.state == State.WAITING and not run.due_ms}
        assert indexed | timeless == now.runs.keys()
        assert not indexed & timeless
        assert now.results.keys() <= now.runs.keys()
        self._check_summaries(now)
        assert {entry[:16] for entry in now.idempotency.values()} <= now.runs.keys()
        live = sum(1 for until in now.listeners.values() if until >= self._clock.told_ms)
        assert now.bell <= max(before.bell, live), "tokens beyond listeners"
        if self._is_paused and "paused" in now.meta:
            assert now.bell <= before.bell, "a paused queue rang"
        self._compare(before, now)
        self._before = now

    def _check_summaries(self, now: Slot) -> None:
        """What the slot keeps besides, so that lists and counts need not look at each task."""
        assert sorted(now.log) == sorted(now.specs)
        assert now.dead.keys() == {key for key, run in now.runs.items() if run.state == State.FAILED}
        assert now.shelved == {key: run.state for key, run in now.runs.items() if run.state.done}
        told_by_indexes = (State.READY, State.RUNNING)
        assert now.gauges == Counter(
            run.state for run in now.runs.values() if run.state not in told_by_indexes
        )

    def _check_run(self, now: Slot, key: bytes, run: Run) -> None:
        places = now.places(key)
        if run.state == State.WAITING and not run.due_ms:
            assert places == []
        else:
            (place,) = places
            assert place in PLACES[run.state], f"{run.state} task in {place}"
        assert run.attempt <= run.max_attempts
        assert (run.worker != "") == (run.state == State.RUNNING)
        assert (run.finished_ms > 0) == run.state.done
        assert (run.parked_ms > 0) == (run.state == State.WAITING)
        assert run.awaits == "" or run.state in (State.WAITING, State.READY, State.RUNNING, State.RETRYING)
        assert 0 <= run.exits <= EXIT_TRIES
        assert run.ending == "" or run.state in ENDING
        assert run.waited_ms >= 0
        assert len(now.entries(key)) == run.journal
        assert (key in now.inbox) == (run.inbox == 1)
        history = read_history(run, now.attempts.get(key, b""))
        assert len(history.attempts) + history.dropped == run.attempt, "each attempt is told once"
        self._check_times(key, run, history)
        if run.state.done:
            assert run.journal == run.inbox == 0
            assert key not in now.ends
        elif not run.ending and (run.deadline_ms or (run.expires_ms and not run.started_ms)):
            assert key in now.ends, "nobody would end it"
        unread = {event for event, _ in now.unread(key)}
        if run.state == State.WAITING:
            assert not unread & set(run.awaits.split()), "it waits for what has come"

    def _check_times(self, key: bytes, run: Run, history: History) -> None:
        """Each is no earlier than what came before it."""
        submitted_ms = TaskId("default", key).submitted_ms
        assert run.started_ms == 0 or run.started_ms >= max(submitted_ms, run.retried_ms)
        assert not run.state.done or run.finished_ms >= max(submitted_ms, run.started_ms, run.retried_ms)
        for attempt in history.attempts:
            assert attempt.began_ms >= submitted_ms
            assert attempt.outcome is Outcome.RUNNING or attempt.ended_ms >= attempt.began_ms
            assert not run.state.done or run.finished_ms >= attempt.began_ms

    def _compare(self, before: Slot, now: Slot) -> None:
        for key, run in now.runs.items():
            old = before.runs.get(key)
            if old is not None:
                assert run.fence >= old.fence + (run.attempt > old.attempt)
            if old is not None and old.retried_ms == run.retried_ms:
                assert run.state in REACHABLE[old.state], f"{old.state} -> {run.state}"
                assert not old.cancelling or run.cancelling or run.ending or run.state in ENDS
                assert not old.ending or run.state in (*ENDING, State(old.ending)), "it was decided"
            if run.state.done:
                outcome = (run.state, now.results.get(key))
                life = (key, run.retried_ms)
                assert self._outcomes.setdefault(life, outcome) == outcome, "an outcome changed"
        for key in before.runs.keys() - now.runs.keys():
            assert key in before.done, "forgotten before it was finished"

    def teardown(self) -> None:
        client, keys = self._client, self._store.keys
        self._store.client.close()
        wipe(client, keys)
        client.delete(*keys.server(SERVER_KEYS), *(keys.personal_bell("default", name) for name in "abc"))


def _end(lease: Lease, settlement: Settlement, max_attempts: int) -> Message:
    """As a worker would: a task without attempts left is not retried."""
    if settlement is Settlement.RETRYING and lease.attempt >= max_attempts:
        settlement = Settlement.FAILED
    return settle(lease, settlement, b'"%s"' % settlement.encode(), delay_ms=lease.attempt * 700 - 700)


def test_whatever_happens_each_task_is_in_one_place_and_ends_once(
    store_url: str, redis_client: redis.Redis, runner: asyncio.Runner, async_client: redis.asyncio.Redis
) -> None:
    class Bound(Lives):
        connections = (store_url, redis_client, async_client, runner)

    _run(Bound)


class LivesByManyClocks(Lives):
    """Each call comes from a process with a reading of its own of the store's time; and that may jump."""

    def _new_clock(self) -> HandClock:
        return ManyClocks(5, Random(0))

    @rule(ms=st.sampled_from([-2_000, -5, 3_600_000]))
    def the_store_sets_its_clock(self, ms: int) -> None:
        self._clock.pass_ms(ms)


def test_nor_does_it_matter_that_clocks_differ_a_little_and_jump(
    store_url: str, redis_client: redis.Redis, runner: asyncio.Runner, async_client: redis.asyncio.Redis
) -> None:
    class Bound(LivesByManyClocks):
        connections = (store_url, redis_client, async_client, runner)

    _run(Bound)


def _run(machine: type[Lives]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=100,
            stateful_step_count=60,
            deadline=None,
            print_blob=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
