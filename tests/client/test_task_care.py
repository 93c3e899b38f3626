"""What becomes of one task later: retry, delete, its attempts and its log."""

from __future__ import annotations

import pytest

from bide_client import (
    Client,
    Forbidden,
    NotUnique,
    TaskFailed,
    TaskNotFailed,
    TaskNotFinished,
    TaskNotFound,
    UnexpectedAnswer,
)

from .replies import ID, accepted, attempt_json, failed, line_json, log, problem, succeeded
from .stub_server import Reply, StubServer


def test_a_failed_task_is_retried_and_waited_for_again(stub: StubServer, client: Client) -> None:
    stub.plays(failed(), accepted(), succeeded(5))
    task = client.task(ID)
    with pytest.raises(TaskFailed):
        task.result(timeout=5)
    assert task.retry().state == "ready"
    assert task.result(timeout=5) == 5
    assert (stub.asked[1].method, stub.asked[1].path) == ("POST", f"/v1/tasks/{ID}/retry")


def test_a_retry_whose_answer_was_lost_is_one_retry(stub: StubServer, client: Client) -> None:
    stub.plays(failed(), Reply(fault="drop"), problem(409, "TASK_NOT_FAILED"), accepted())
    task = client.task(ID)
    task.status()
    assert task.retry().state == "ready"
    assert task.latest is not None
    assert task.latest.state == "ready"


@pytest.mark.parametrize(
    ("code", "kind"), [("TASK_NOT_FAILED", TaskNotFailed), ("NOT_UNIQUE", NotUnique)], ids=str
)
def test_a_retry_that_is_refused_says_why(
    stub: StubServer, client: Client, code: str, kind: type[Exception]
) -> None:
    stub.plays(problem(409, code, task="q~other"))
    with pytest.raises(kind):
        client.task(ID).retry()


def test_a_finished_task_is_deleted(stub: StubServer, client: Client) -> None:
    stub.plays(Reply(204))
    client.task(ID).delete()
    [asked] = stub.asked
    assert (asked.method, asked.path, asked.body) == ("DELETE", f"/v1/tasks/{ID}", b"")


def test_a_deletion_whose_answer_was_lost_is_done(stub: StubServer, client: Client) -> None:
    stub.plays(succeeded(), Reply(fault="drop"), problem(404, "TASK_NOT_FOUND"))
    task = client.task(ID)
    task.status()
    task.delete()
    assert len(stub.asked) == 3


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(404, "TASK_NOT_FOUND", TaskNotFound), (409, "TASK_NOT_FINISHED", TaskNotFinished)],
    ids=str,
)
def test_a_deletion_that_is_refused_says_why(
    stub: StubServer, client: Client, status: int, code: str, kind: type[Exception]
) -> None:
    stub.plays(problem(status, code))
    with pytest.raises(kind):
        client.task(ID).delete()


def test_attempts_tell_who_tried_when_and_what_came_of_it(stub: StubServer, client: Client) -> None:
    lost = attempt_json(1, "lost", code="WORKER_LOST", message=None)
    last = attempt_json(2, "failed", traceback="Traceback:\n")
    now = attempt_json(3, "running", worker=None)
    stub.plays(Reply(200, {"attempts": [lost, last, now]}))
    first, second, third = client.task(ID).attempts()
    assert (first.attempt, first.outcome, first.code, first.message) == (1, "lost", "WORKER_LOST", None)
    assert (second.worker, second.message, second.traceback) == ("w1", "too slow", "Traceback:\n")
    assert second.started_at is not None
    assert second.ended_at is not None
    assert (second.ended_at - second.started_at).total_seconds() == 1.5
    assert (third.outcome, third.worker, third.ended_at) == ("running", None, None)


def test_a_log_is_read_after_a_line(stub: StubServer, client: Client) -> None:
    progress = line_json(8, "half", "progress", fraction=0.5)
    stub.plays(log(line_json(7, level="WARNING"), progress, dropped=3))
    page = client.task(ID).log(after=6)
    assert stub.asked[0].path == f"/v1/tasks/{ID}/log?after=6&page_size=100"
    assert (page.next, page.dropped, page.done, page.retry_after) == (8, 3, False, 0)
    said, half = page.lines
    assert (said.number, said.kind, said.level, said.logger, said.message) == (
        7, "log", "WARNING", "tasks.web", "hello",
    )  # fmt: skip
    assert (half.kind, half.fraction, half.level) == ("progress", 0.5, None)


def test_a_log_is_followed_until_the_task_is_done_and_all_is_read(stub: StubServer, client: Client) -> None:
    full = [line_json(number) for number in range(1, 101)]
    rest = log(line_json(101), line_json(102), done=True)
    stub.plays(log(*full), log(next=100), rest, log(next=102, done=True))
    assert [line.number for line in client.task(ID).tail()] == list(range(1, 103))
    assert [asked.path.partition("?")[2] for asked in stub.asked] == [
        f"after={after}&page_size=100" for after in (0, 100, 100, 102)
    ]
    began = [asked.at for asked in stub.asked]
    assert began[2] - began[1] >= 0.5, "a page with room is not followed by another at once"


def test_a_log_that_does_not_go_on_is_no_endless_loop(stub: StubServer, client: Client) -> None:
    stub.plays(log(line_json(5), next=0, done=True))
    with pytest.raises(UnexpectedAnswer, match="does not go on"):
        list(client.task(ID).tail())


def test_a_log_is_for_operators(stub: StubServer, client: Client) -> None:
    stub.plays(problem(403, "FORBIDDEN", "This needs an operator's key."))
    with pytest.raises(Forbidden, match="operator"):
        list(client.task(ID).tail())


@pytest.mark.parametrize(
    "answer",
    [{}, {"lines": [{}], "next": 0, "done": True}, {"lines": [], "done": True}, {"lines": 5, "next": 0}],
    ids=str,
)
def test_a_log_that_is_none_is_said_to_be_none(stub: StubServer, client: Client, answer: object) -> None:
    stub.plays(Reply(200, answer), Reply(200, {"attempts": [answer]}))
    with pytest.raises(UnexpectedAnswer):
        client.task(ID).log()
    with pytest.raises(UnexpectedAnswer):
        client.task(ID).attempts()
