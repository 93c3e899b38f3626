"""What a task sees of itself."""

from __future__ import annotations

import pytest

from bide import Context
from bide.context import StopReason
from bide.errors import Interrupted, TaskCancelled, TaskTimeout
from bide.ids import TaskId

ID = TaskId("mail", bytes(16))


def test_a_task_that_may_go_on_passes_its_check() -> None:
    Context(ID, 1).check()


@pytest.mark.parametrize(
    ("reason", "error", "message"),
    [
        (StopReason.CANCEL, TaskCancelled, "cancelled"),
        (StopReason.TIMEOUT, TaskTimeout, "timeout"),
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
