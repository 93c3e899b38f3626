"""What a task learns from its context."""

from __future__ import annotations

import pytest

from bide import Context
from bide.context import StopReason
from bide.errors import TaskCancelled, TaskControl, TaskTimeout
from bide.ids import TaskId


@pytest.fixture
def ctx() -> Context:
    return Context(TaskId("reports", b"\x01" * 16), attempt=2)


def test_a_context_tells_id_queue_and_attempt(ctx: Context) -> None:
    assert ctx.task_id == str(TaskId("reports", b"\x01" * 16))
    assert ctx.queue == "reports"
    assert ctx.attempt == 2


def test_a_check_passes_while_nobody_wants_the_attempt_to_end(ctx: Context) -> None:
    ctx.check()
    assert ctx.stopping is None


@pytest.mark.parametrize(
    ("reason", "error", "message"),
    [
        (StopReason.CANCEL, TaskCancelled, "was cancelled"),
        (StopReason.TIMEOUT, TaskTimeout, "longer than its timeout"),
        (StopReason.SHUTDOWN, TaskControl, "goes back to its queue"),
        (StopReason.LOST, TaskControl, "another worker has the task"),
    ],
)
def test_a_check_raises_what_ends_the_attempt(
    ctx: Context, reason: StopReason, error: type[TaskControl], message: str
) -> None:
    ctx.stopping = reason
    with pytest.raises(error, match=message):
        ctx.check()


def test_every_reason_to_stop_ends_a_check() -> None:
    for reason in StopReason:
        ctx = Context(TaskId("q", b"\0" * 16), 1)
        ctx.stopping = reason
        with pytest.raises(TaskControl):
            ctx.check()
