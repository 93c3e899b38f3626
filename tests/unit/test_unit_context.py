"""What a task sees of itself."""

from __future__ import annotations

import pytest

from bide import Context
from bide.context import StopReason
from bide.errors import DeadlineExceeded, Interrupted, Misuse, TaskCancelled, TaskTimeout
from bide.ids import TaskId

ID = TaskId("mail", bytes(16))


def test_a_task_that_may_go_on_passes_its_check() -> None:
    Context(ID, 1).check()


@pytest.mark.parametrize(
    ("reason", "error", "message"),
    [
        (StopReason.CANCEL, TaskCancelled, "cancelled"),
        (StopReason.TIMEOUT, TaskTimeout, "timeout"),
        (StopReason.DEADLINE, DeadlineExceeded, "deadline"),
        (StopReason.SHUTDOWN, Interrupted, "shutting down"),
        (StopReason.LOST, Interrupted, "another worker has the task"),
    ],
)
def test_a_check_says_why_the_attempt_should_end(
    reason: StopReason, error: type[Interrupted], message: str
) -> None:
    context = Context(ID, 1)
    context.stopping = reason
    with pytest.raises(Interrupted, match=message) as caught:
        context.check()
    assert type(caught.value) is error


def test_every_reason_to_stop_ends_a_check() -> None:
    for reason in StopReason:
        context = Context(ID, 1)
        context.stopping = reason
        with pytest.raises(Interrupted):
            context.check()


def test_a_task_knows_its_id_its_queue_and_its_attempt() -> None:
    context = Context(ID, 3)
    assert (context.task_id, context.queue, context.attempt) == ("mail~" + "0" * 26, "mail", 3)


def test_a_token_hangs_on_the_task_and_the_name_alone() -> None:
    token = Context(ID, 1).token("vm")
    assert token == Context(ID, 2).token("vm") == Context(TaskId("mail", bytes(16)), 1).token("vm")
    assert len(token) == 32
    assert int(token, 16)
    others = {Context(ID, 1).token("ip"), Context(TaskId("mail", b"1" * 16), 1).token("vm")}
    assert len(others | {token}) == 3


def test_a_plain_function_is_told_that_it_cannot_wait() -> None:
    context = Context(ID, 1)
    for call in (
        lambda: context.sleep(1), lambda: context.step(print), lambda: context.event("go"),
        lambda: context.poll(print), context.gather, context.now, context.random,
        lambda: context.patched("p"),
    ):  # fmt: skip
        with pytest.raises(Misuse, match="works in an async task alone"):
            call()


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_progress_is_from_nought_to_one(fraction: float) -> None:
    with pytest.raises(Misuse, match="from 0 to 1"):
        Context(ID, 1).progress(fraction)


def test_what_is_to_be_called_at_the_end_is_called_in_reverse() -> None:
    context, called = Context(ID, 1), list[str]()
    context.on_exit(called.append, "first")
    context.on_exit(called.append, "second")
    for call in context.exits:
        call()
    assert called == ["second", "first"]
