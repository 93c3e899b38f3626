"""What an attempt does with what its task has asked to be run at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from floor import NEVER, NOW_MS, QuietFloor, lease, settle_of

from bide import Context, Retry, task
from bide.context import StopReason
from bide.definition import Definition
from bide.exchange import EXIT_TRIES, Lease, Message, Settlement, Usage, Verb
from bide.registry import Registry
from bide.worker import runner as module
from bide.worker.attempt import Attempt
from bide.worker.journal import Entry, Status, digest_of
from bide.worker.runner import Runner

CANCELLED = {"ending": "cancelled", "exits": EXIT_TRIES - 1}
_pack = msgspec.msgpack.Encoder().encode
_read_usage = msgspec.msgpack.Decoder(Usage).decode


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


@pytest.fixture
def left() -> list[Any]:
    """What was run at the end, in order."""
    return []


def _lease(name: str, *entries: Entry, **run: Any) -> Lease:
    """A lease whose journal and whose record say this."""
    plain = lease(name)
    record = msgspec.structs.replace(plain.run, journal=len(entries), **run)
    return msgspec.structs.replace(plain, run=record, journal=tuple(map(_pack, entries)))


def _done(path: str, value: str, *args: Any) -> Entry:
    return Entry(path, digest_of("step", args, {}), Status.DONE, value)


def _runner(definition: Definition) -> Runner:
    return Runner(Registry({definition.name: definition}), lambda: 0.5)


def _perform(
    definition: Definition,
    lease: Lease,
    threads: ThreadPoolExecutor,
    *stops: StopReason,
    floor: QuietFloor | None = None,
) -> Message:
    """Run it; it is asked to stop before it begins."""

    async def scenario() -> Message | None:
        attempt = Attempt(lease, floor or QuietFloor(threads))
        for reason in stops:
            attempt.stop(reason)
        return await settle_of(attempt, _runner(definition))

    settle = asyncio.run(scenario())
    assert settle is not None
    return settle


def _leaves_exits(settle: Message) -> bool:
    assert isinstance(settle.extra, bytes)
    return _read_usage(settle.extra).exits == 1


def _create() -> str:
    raise AssertionError("a replay runs no step")


@pytest.fixture
def tidy(left: list[Any]) -> Definition:
    @task(name="tidy", retry=Retry(max_attempts=1))
    async def tidy(ctx: Context) -> str:
        vm = await ctx.step(_create)
        ctx.on_exit(left.append, vm)
        await ctx.step(_create)
        raise AssertionError("the journal has ended")

    return tidy


JOURNAL = _done("_create#1", '"vm"')


# --- a lease for the end ----------------------------------------------------------------------


@pytest.mark.parametrize(("ending", "outcome"), [("cancelled", ""), ("failed", '{"code":"A","message":"b"}')])
def test_a_lease_for_the_end_replays_the_journal_and_runs_what_it_asked_for(
    tidy: Definition, threads: ThreadPoolExecutor, left: list[Any], ending: str, outcome: str
) -> None:
    given = _lease("tidy", JOURNAL, ending=ending, outcome=outcome, exits=1, deadline_ms=NOW_MS - 1)
    settle = _perform(tidy, given, threads)
    assert (settle.verb, settle.body, left) == (Settlement(ending), outcome, ["vm"])
    assert not _leaves_exits(settle)


def test_a_lease_for_the_end_is_not_cancelled_again(
    tidy: Definition, threads: ThreadPoolExecutor, left: list[Any]
) -> None:
    """One reply may bring it and the cancel that it is for."""
    settle = _perform(tidy, _lease("tidy", JOURNAL, **CANCELLED), threads, StopReason.CANCEL)
    assert (settle.verb, left) == (Settlement.CANCELLED, ["vm"])


def test_a_lease_for_the_end_is_handed_back_by_a_worker_that_leaves(
    tidy: Definition, threads: ThreadPoolExecutor, left: list[Any]
) -> None:
    settle = _perform(tidy, _lease("tidy", JOURNAL, **CANCELLED), threads, StopReason.SHUTDOWN)
    assert (settle.verb, left) == (Settlement.HANDED_BACK, [])


def test_a_replay_that_the_code_does_not_let_end_is_ended(
    threads: ThreadPoolExecutor, left: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_EXIT_S", 0.02)

    @task
    async def hangs(ctx: Context) -> None:
        ctx.on_exit(left.append, "hung")
        await asyncio.Event().wait()

    settle = _perform(hangs, _lease("hangs", **CANCELLED), threads)
    assert (settle.verb, left) == (Settlement.CANCELLED, ["hung"])


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError(), SystemExit(3)])
def test_a_replay_in_which_the_code_raises_changes_nothing(
    threads: ThreadPoolExecutor, left: list[Any], error: BaseException
) -> None:
    @task
    async def raises(ctx: Context) -> None:
        ctx.on_exit(left.append, "first")
        raise error

    settle = _perform(raises, _lease("raises", **CANCELLED), threads)
    assert (settle.verb, settle.body, left) == (Settlement.CANCELLED, "", ["first"])


def test_a_plain_function_is_not_run_for_its_end(threads: ThreadPoolExecutor, left: list[Any]) -> None:
    @task
    def plain() -> None:
        left.append("run")

    assert _perform(plain, _lease("plain", **CANCELLED), threads).verb is Settlement.CANCELLED
    assert left == []


def test_code_that_is_not_known_here_may_be_elsewhere(
    tidy: Definition, threads: ThreadPoolExecutor, left: list[Any]
) -> None:
    settle = _perform(tidy, _lease("gone", **CANCELLED), threads)
    assert settle.verb is Settlement.REFUSED
    assert settle.number > 0


# --- an attempt that is stopped -----------------------------------------------------------------


@pytest.mark.parametrize("reason", [StopReason.CANCEL, StopReason.DEADLINE, StopReason.TIMEOUT])
def test_an_attempt_that_is_stopped_before_it_knows_leaves_it_to_another_lease(
    tidy: Definition, threads: ThreadPoolExecutor, left: list[Any], reason: StopReason
) -> None:
    settle = _perform(tidy, _lease("tidy", JOURNAL, exits=EXIT_TRIES), threads, reason)
    assert settle.verb is (Settlement.CANCELLED if reason is StopReason.CANCEL else Settlement.FAILED)
    assert _leaves_exits(settle)
    assert left == []


@pytest.mark.parametrize("asked", [0, EXIT_TRIES])
def test_an_attempt_whose_cancel_was_asked_before_it_was_leased_never_begins(
    threads: ThreadPoolExecutor, left: list[Any], asked: int
) -> None:
    """A reply that was lost is given again with the record as it is by then."""

    @task(name="one")
    async def code() -> None:
        left.append("run")

    @task(name="one")
    def plain() -> None:
        left.append("run")

    for definition in (code, plain):
        settle = _perform(definition, _lease("one", cancelling=1, exits=asked), threads)
        assert settle.verb is Settlement.CANCELLED
    assert left == []


def _stopped_at_its_wait(
    code: Callable[[Context, asyncio.Event], Any], threads: ThreadPoolExecutor, given: Lease
) -> Message:
    """Run it, and cancel it once it has said where it waits."""

    async def scenario() -> Message | None:
        there = asyncio.Event()

        @task(name="waits", retry=Retry(max_attempts=3))
        async def waits(ctx: Context) -> None:
            await code(ctx, there)

        attempt = Attempt(given, QuietFloor(threads))
        attempt.start(_runner(waits).run(attempt))
        await there.wait()
        attempt.stop(StopReason.CANCEL)
        assert attempt.work is not None
        return await attempt.work

    settle = asyncio.run(scenario())
    assert settle is not None
    return settle


def test_a_cancel_that_the_code_answers_with_an_exception_is_a_cancel(
    threads: ThreadPoolExecutor, left: list[Any]
) -> None:
    async def code(ctx: Context, there: asyncio.Event) -> None:
        ctx.on_exit(left.append, "run")
        there.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("how rude") from None

    settle = _stopped_at_its_wait(code, threads, _lease("waits"))
    assert (settle.verb, left) == (Settlement.CANCELLED, ["run"])
    assert not _leaves_exits(settle)


@pytest.mark.parametrize("is_behind", [False, True])
def test_an_attempt_that_is_stopped_in_its_replay_leaves_it_to_another_lease(
    threads: ThreadPoolExecutor, left: list[Any], is_behind: bool
) -> None:
    async def code(ctx: Context, there: asyncio.Event) -> None:
        ctx.on_exit(left.append, "outer")
        if not is_behind:
            await ctx.step(_create)
        there.set()
        await asyncio.Event().wait()

    settle = _stopped_at_its_wait(code, threads, _lease("waits", JOURNAL, exits=EXIT_TRIES))
    assert _leaves_exits(settle) is is_behind
    assert left == ([] if is_behind else ["outer"])


# --- what the store is told ---------------------------------------------------------------------


class _SlowFloor(QuietFloor):
    """Says that the store has answered when the test does."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        super().__init__(threads)
        self.unanswered: list[Callable[[bool], object]] = []

    def send(self, slot: str, message: Message, answered: Callable[[bool], object] | None = None) -> None:
        if message.verb is Verb.EXITS:
            self.sent.append(message)
            assert answered is not None
            self.unanswered.append(answered)
        else:
            super().send(slot, message, answered)


@pytest.mark.parametrize("counts", [True, False])
def test_no_step_begins_before_the_store_knows_that_something_is_to_be_run_at_the_end(
    threads: ThreadPoolExecutor, counts: bool
) -> None:
    begun: list[str] = []

    async def create() -> str:
        begun.append("vm")
        return "vm"

    @task(name="asks")
    async def asks(ctx: Context) -> str:
        ctx.on_exit(len, "")
        ctx.on_exit(len, "")
        return str(await ctx.step(create))

    async def scenario() -> tuple[_SlowFloor, Message | None]:
        floor = _SlowFloor(threads)
        attempt = Attempt(_lease("asks"), floor)
        attempt.start(_runner(asks).run(attempt))
        while not floor.unanswered:
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        assert begun == []
        (answered,) = floor.unanswered
        answered(counts)
        assert attempt.work is not None
        return floor, await attempt.work

    floor, settle = asyncio.run(scenario())
    if counts:
        assert [message.verb for message in floor.sent] == [Verb.EXITS, Verb.JOURNAL]
        assert settle is not None
        assert settle.verb is Settlement.SUCCEEDED
    else:
        assert (settle, begun) == (None, []), "another worker has the task"


def test_the_store_is_told_once_and_not_of_what_no_replay_would_come_to(threads: ThreadPoolExecutor) -> None:
    def in_a_step(ctx: Context) -> None:
        ctx.on_exit(len, "")

    @task(name="known")
    async def known(ctx: Context) -> None:
        ctx.on_exit(len, "")

    @task(name="thread")
    async def thread(ctx: Context) -> None:
        await ctx.step(in_a_step, ctx)

    @task(name="plain")
    def plain(ctx: Context) -> None:
        ctx.on_exit(len, "")

    for definition, exits in ((known, EXIT_TRIES), (thread, 0), (plain, 0)):
        floor = QuietFloor(threads)
        _perform(definition, _lease(definition.name, exits=exits), threads, floor=floor)
        assert Verb.EXITS not in [message.verb for message in floor.sent]


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), ValueError()]
)
def test_whatever_it_raises_the_rest_is_run_and_the_task_ends(
    threads: ThreadPoolExecutor, left: list[Any], error: BaseException
) -> None:
    async def fail() -> None:
        raise error

    @task(name="asks")
    async def asks(ctx: Context) -> str:
        ctx.on_exit(left.append, "run")
        ctx.on_exit(fail)
        return "done"

    settle = _perform(asks, _lease("asks"), threads)
    assert (settle.verb, left) == (Settlement.SUCCEEDED, ["run"])


def test_expiry_of_the_lease_is_looked_at_first(tidy: Definition, threads: ThreadPoolExecutor) -> None:
    given = msgspec.structs.replace(_lease("tidy", JOURNAL, **CANCELLED), expires_at=-1.0)
    assert given.expires_at < NEVER
    assert _perform(tidy, given, threads).verb is Settlement.HANDED_BACK
