"""What a task's code logs: whose it is, how much of it is kept, and that nothing comes of it for the task."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import msgspec
import pytest
from floor import QuietFloor, lease, settle_of

from bide import Context, task
from bide.context import StopReason
from bide.definition import Definition
from bide.exchange import Message, Settlement, Verb
from bide.line import Kind, Line, read_line
from bide.registry import Registry
from bide.worker.attempt import Attempt
from bide.worker.branches import adopt
from bide.worker.capture import Capture, capturing
from bide.worker.journal import Entry, Status, digest_of
from bide.worker.runner import Runner
from bide.worker.scribe import BURST, FLUSH_S, PER_MESSAGE, PER_SECOND, Lines, Scribe

log = logging.getLogger("a.library")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    executor = ThreadPoolExecutor(4)
    yield executor
    executor.shutdown()


@pytest.fixture
def floor(threads: ThreadPoolExecutor) -> QuietFloor:
    return QuietFloor(threads)


def run(
    floor: QuietFloor,
    definition: Definition,
    *,
    level: str = "INFO",
    journal: tuple[bytes, ...] = (),
    parked: bool = False,
) -> Message | None:
    """Run one attempt with its lines captured, until it waits if it is to be parked; returns its settle."""

    async def running() -> Message | None:
        asyncio.get_running_loop().set_task_factory(adopt)
        with capturing(floor.scribe, level):
            taken = msgspec.structs.replace(lease(definition.name), journal=journal)
            runner = Runner(Registry({definition.name: definition}))
            attempt = Attempt(taken, floor)
            settling = asyncio.ensure_future(settle_of(attempt, runner))
            while parked and not floor.idle:
                await asyncio.sleep(0)
            if parked:
                attempt.stop(StopReason.PARK)
            return await settling

    return asyncio.run(running())


def lines(floor: QuietFloor) -> list[Line]:
    """Every line that was sent, in order."""
    joined = b"".join(message.body for message in floor.sent if message.verb is Verb.LINES)  # type: ignore[misc]
    found = []
    while joined:
        end = 2 + int.from_bytes(joined[:2], "big")
        found.append(read_line(joined[2:end]))
        joined = joined[end:]
    return found


def messages(floor: QuietFloor) -> list[str]:
    return [line.message for line in lines(floor)]


# --- whose it is ------------------------------------------------------------------------------


def test_what_an_async_task_logs_becomes_its_lines(floor: QuietFloor) -> None:
    @task
    async def talks() -> None:
        log.info("hello %s", "world")
        log.warning("careful")

    settle = run(floor, talks)
    assert settle is not None
    assert settle.verb is Settlement.SUCCEEDED
    first, second = lines(floor)
    assert first == Line(floor.now_ms(), Kind.LOG, 1, "INFO", "a.library", "hello world")
    assert (second.level, second.message) == ("WARNING", "careful")


def test_a_line_is_sent_under_the_lease_of_its_task(floor: QuietFloor) -> None:
    @task
    async def talks() -> None:
        log.info("x")

    run(floor, talks)
    (message,) = floor.sent
    assert (message.key, message.fence) == Attempt(lease("talks"), floor).lease_held
    assert message.number == 1


def test_a_plain_function_a_step_and_a_task_of_its_own_are_attributed(floor: QuietFloor) -> None:
    @task
    def plain() -> None:
        log.info("in a thread")

    @task
    async def steps(ctx: Context) -> None:
        def in_thread() -> None:
            log.info("in a step's thread")

        async def beside() -> None:
            log.info("in an asyncio task")

        await ctx.step(in_thread)
        await asyncio.gather(beside())

    run(floor, plain)
    run(floor, steps)
    assert messages(floor) == ["in a thread", "in a step's thread", "in an asyncio task"]


def test_what_others_log_is_nobodys(floor: QuietFloor) -> None:
    @task
    async def quiet() -> None:
        other = threading.Thread(target=log.error, args=("another thread",))
        other.start()
        other.join()

    with capturing(floor.scribe, "INFO"):
        log.error("outside")
        run(floor, quiet)
    assert floor.sent == []


def test_two_workers_of_a_process_keep_their_tasks_apart(threads: ThreadPoolExecutor) -> None:
    @task
    async def talks() -> None:
        log.info("once")

    one, other = QuietFloor(threads), QuietFloor(threads)
    with capturing(other.scribe, "INFO"):
        run(one, talks)
    with capturing(one.scribe, "INFO"):
        run(other, talks)
    assert messages(one) == ["once"]
    assert messages(other) == ["once"]


def test_lines_below_the_level_are_not_kept(floor: QuietFloor) -> None:
    @task
    async def talks() -> None:
        log.info("not this")
        log.error("this")

    run(floor, talks, level="ERROR")
    assert messages(floor) == ["this"]


def test_without_records_nothing_is_captured(threads: ThreadPoolExecutor) -> None:
    @task
    async def talks(ctx: Context) -> None:
        log.error("not kept")
        ctx.progress(0.5, "shown")

    floor = QuietFloor(threads)
    floor.scribe = Scribe(floor.send, floor.now_ms, keeps=False)
    before = logging.getLogger().handlers[:]
    run(floor, talks)
    assert [(message.verb, message.body) for message in floor.sent] == [
        (Verb.PROGRESS, b'{"fraction":0.5,"message":"shown"}')
    ]
    assert logging.getLogger().handlers == before


# --- replays ----------------------------------------------------------------------------------


def slept(floor: QuietFloor) -> tuple[bytes, ...]:
    """The journal of a task that has slept an hour, once."""
    entry = Entry("sleep#1", digest_of("sleep", 3600.0), Status.DONE, until_ms=floor.now_ms())
    return (msgspec.msgpack.encode(entry),)


def test_what_a_replay_repeats_is_not_said_again(floor: QuietFloor) -> None:
    @task
    async def naps(ctx: Context) -> None:
        async def beside() -> None:
            log.info("before, beside")

        log.info("before")
        ctx.progress(0.1)
        await asyncio.gather(beside())
        await ctx.sleep(3600)
        log.info("after")

    run(floor, naps, parked=True)
    assert sorted(messages(floor)) == ["", "before", "before, beside"]
    run(floor, naps, journal=slept(floor))
    assert sorted(messages(floor)) == ["", "after", "before", "before, beside"]


def test_what_unwinds_to_be_parked_says_nothing(floor: QuietFloor) -> None:
    @task
    async def naps(ctx: Context) -> None:
        try:
            await ctx.sleep(3600)
        finally:
            log.info("at the end")

    settle = run(floor, naps, parked=True)
    assert settle is not None
    assert settle.verb is Settlement.PARKED
    assert messages(floor) == []
    run(floor, naps, journal=slept(floor))
    assert messages(floor) == ["at the end"]


# --- bounds -----------------------------------------------------------------------------------


def test_a_long_message_is_cut(floor: QuietFloor) -> None:
    @task
    async def talks() -> None:
        log.info("x" * 10_000)

    run(floor, talks)
    (message,) = messages(floor)
    assert len(message) == 2_000
    assert message.endswith("x\N{HORIZONTAL ELLIPSIS}")


def test_an_exception_is_logged_with_the_end_of_its_traceback(floor: QuietFloor) -> None:
    @task
    async def talks() -> None:
        try:
            raise ValueError("y" * 500)
        except ValueError:
            log.exception("it went wrong")
            log.exception("z" * 5_000)

    run(floor, talks)
    short, long = messages(floor)
    assert short.startswith("it went wrong\nTraceback (most recent call last):\n")
    assert short.endswith("ValueError: " + "y" * 500)
    assert len(long) <= 2_000
    assert long.endswith("y" * 500)


def test_a_flood_is_cut_off_and_a_line_says_so(floor: QuietFloor) -> None:
    @task
    async def floods() -> None:
        for number in range(BURST + 150):
            log.info("line %d", number)

    run(floor, floods)
    said = messages(floor)
    kept = [message for message in said if message.startswith("line ")]
    assert BURST <= len(kept) < BURST + 100
    assert kept[:BURST] == [f"line {number}" for number in range(BURST)]
    assert said[-1] == (
        f"{BURST + 150 - len(kept)} lines were dropped: an attempt may log 200 at a burst, and 100 a second "
        "after that."
    )


def test_one_message_carries_at_most_fifty_lines(floor: QuietFloor) -> None:
    @task
    async def talks() -> None:
        for number in range(2 * PER_MESSAGE + 1):
            log.info("%d", number)

    run(floor, talks)
    sent = [message for message in floor.sent if message.verb is Verb.LINES]
    assert [message.number for message in sent] == [PER_MESSAGE, PER_MESSAGE, 1]
    assert messages(floor) == [str(number) for number in range(2 * PER_MESSAGE + 1)]


def test_room_for_lines_comes_back_with_time() -> None:
    said = Lines(0.0)
    assert sum(said.admit(0.0) for _ in range(BURST + 5)) == BURST
    assert said.dropped == 5
    assert sum(said.admit(0.5) for _ in range(BURST)) == PER_SECOND // 2
    assert sum(said.admit(1_000.0) for _ in range(BURST + 5)) == BURST


def test_lines_that_cannot_be_sent_are_not_piled_up() -> None:
    said = Lines(0.0)
    said.unsent = [Line(0, Kind.LOG)] * BURST
    assert not said.admit(1_000.0)


# --- when it is sent ----------------------------------------------------------------------------


def test_lines_go_out_while_the_task_runs(floor: QuietFloor) -> None:
    seen = threading.Event()

    class Hears(QuietFloor):
        def send(self, slot: str, message: Message, answered: Callable[[bool], object] | None = None) -> None:
            super().send(slot, message, answered)
            seen.set()

    @task
    def waits() -> bool:
        log.info("before the end")
        return seen.wait(20)

    hearing = Hears(floor.executor)  # type: ignore[arg-type]
    settle = run(hearing, waits)
    assert settle is not None
    assert settle.body == b"true"
    assert messages(hearing) == ["before the end"]


def test_a_second_message_waits_for_the_answer_to_the_first(threads: ThreadPoolExecutor) -> None:
    answers: list[Callable[[bool], object]] = []

    class Withholds(QuietFloor):
        def send(self, slot: str, message: Message, answered: Callable[[bool], object] | None = None) -> None:
            self.sent.append(message)
            if answered is not None:
                answers.append(answered)

    floor = Withholds(threads)

    @task
    async def talks() -> None:
        log.info("one")
        while not answers:
            await asyncio.sleep(0.01)
        log.info("two")
        await asyncio.sleep(2 * FLUSH_S)
        assert messages(floor) == ["one"]
        answers[0](True)
        while len(answers) < 2:
            await asyncio.sleep(0.01)

    settle = run(floor, talks)
    assert settle is not None
    assert settle.verb is Settlement.SUCCEEDED
    assert messages(floor) == ["one", "two"]


def test_of_quick_progress_the_last_counts_and_it_stands_where_it_was_said(floor: QuietFloor) -> None:
    @task
    async def hurries(ctx: Context) -> None:
        for number in range(100):
            ctx.progress(number / 100, f"at {number}")

    run(floor, hurries)
    (line,) = lines(floor)
    assert replace_time(line) == Line(0, Kind.PROGRESS, 1, message="at 99", fraction=0.99)
    assert [message.verb for message in floor.sent] == [Verb.PROGRESS, Verb.LINES]


def test_lines_stay_in_the_order_in_which_they_were_said_though_the_clock_is_set_back(
    threads: ThreadPoolExecutor,
) -> None:
    class SetBack(QuietFloor):
        def now_ms(self) -> int:
            self.readings = getattr(self, "readings", 0) + 1
            return super().now_ms() - self.readings

    floor = SetBack(threads)

    @task
    async def talks(ctx: Context) -> None:
        log.info("one")
        log.info("two")
        ctx.progress(0.5, "half way")
        log.info("three")

    run(floor, talks)
    assert messages(floor) == ["one", "two", "half way", "three"]


def replace_time(line: Line) -> Line:
    return msgspec.structs.replace(line, at_ms=0)


def test_progress_is_no_line_more_often_than_four_times_a_second() -> None:
    said = Lines(0.0)
    said.report(Line(1, Kind.PROGRESS))
    assert said.take(10.0, last=False)[1] is not None
    said.report(Line(2, Kind.PROGRESS))
    assert said.take(10.0 + FLUSH_S / 2, last=False) == ([], None)
    assert said.take(10.0 + FLUSH_S, last=False)[1] == Line(2, Kind.PROGRESS)
    said.report(Line(3, Kind.PROGRESS))
    assert said.take(10.0 + FLUSH_S, last=True)[1] == Line(3, Kind.PROGRESS)


# --- nothing comes of it for the task -------------------------------------------------------------


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


def test_what_cannot_be_shown_does_not_fail_the_task(floor: QuietFloor) -> None:
    @task
    async def talks() -> None:
        log.info("%s", Unshowable())
        log.info(Unshowable())
        log.info("%d", "not a number")
        log.info("half of a pair: \ud800")

    settle = run(floor, talks)
    assert settle is not None
    assert settle.verb is Settlement.SUCCEEDED
    unshowable = "(its message cannot be shown)"
    assert messages(floor) == [unshowable, unshowable, unshowable, "half of a pair: ?"]


def test_a_message_that_logs_while_it_is_shown_does_no_harm(floor: QuietFloor) -> None:
    class Talks:
        def __str__(self) -> str:
            log.info("inner")
            return "outer"

    @task
    async def talks() -> None:
        log.info("%s", Talks())

    run(floor, talks)
    assert "outer" in messages(floor)
    assert "inner" in messages(floor)


# --- the root logger ------------------------------------------------------------------------------


@contextmanager
def fresh_root() -> Iterator[logging.Logger]:
    """The root logger as a fresh process has it: pytest, too, has handlers there."""
    found = logging.getLogger()
    handlers, level = found.handlers[:], found.level
    found.handlers[:] = []
    found.setLevel(logging.WARNING)
    try:
        yield found
    finally:
        found.handlers[:] = handlers
        found.setLevel(level)


class Shown(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def test_what_else_is_shown_stays_as_it_was(floor: QuietFloor) -> None:
    shown = Shown()
    with fresh_root() as root:
        root.addHandler(shown)
        with capturing(floor.scribe, "DEBUG"):
            log.info("was not shown before")
            log.warning("was shown before")
        log.info("nor after")
        assert (root.handlers, root.level, shown.level) == ([shown], logging.WARNING, logging.NOTSET)
    assert shown.messages == ["was shown before"]


def test_warnings_are_shown_where_nobody_has_set_logging_up(
    floor: QuietFloor, capsys: pytest.CaptureFixture[str]
) -> None:
    with fresh_root() as root:
        with capturing(floor.scribe, "INFO"):
            log.warning("look here")
            log.info("not here")
        assert root.handlers == []
    assert capsys.readouterr().err == "look here\n"


def test_the_first_worker_that_leaves_takes_nothing_from_the_other(threads: ThreadPoolExecutor) -> None:
    one, other = QuietFloor(threads), QuietFloor(threads)
    first, second = capturing(one.scribe, "INFO"), capturing(other.scribe, "INFO")
    with fresh_root() as root:
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert root.level == logging.INFO
        assert sum(isinstance(handler, Capture) for handler in root.handlers) == 1
        second.__exit__(None, None, None)
        assert (root.handlers, root.level) == ([], logging.WARNING)
