"""Lists of tasks: filters, and pages that are asked for when they are wanted."""

from __future__ import annotations

from itertools import islice

import pytest

from bide_client import Client, UnexpectedAnswer, UsageError

from .replies import listed, problem
from .stub_server import Reply, StubServer


def test_a_list_goes_on_page_by_page_until_there_is_none(stub: StubServer, client: Client) -> None:
    stub.plays(listed("q~1", "q~2", next_page_token="t/1"), listed(next_page_token="t2"), listed("q~3"))
    assert [task.id for task in client.tasks()] == ["q~1", "q~2", "q~3"]
    assert [asked.path for asked in stub.asked] == [
        "/v1/tasks?page_size=50",
        "/v1/tasks?page_size=50&page_token=t%2F1",
        "/v1/tasks?page_size=50&page_token=t2",
    ]


def test_a_page_that_nobody_reads_is_not_asked_for(stub: StubServer, client: Client) -> None:
    stub.plays(listed("q~1", "q~2", next_page_token="t"))
    tasks = client.tasks()
    assert stub.asked == []
    assert [task.id for task in islice(tasks, 2)] == ["q~1", "q~2"]
    assert len(stub.asked) == 1


def test_filters_are_passed_on(stub: StubServer, client: Client) -> None:
    stub.plays(listed())
    assert list(client.tasks(queue="mail", name="a b", state="failed", tag="eu", page_size=7)) == []
    assert stub.asked[0].path == "/v1/tasks?queue=mail&name=a+b&state=failed&tag=eu&page_size=7"


def test_what_a_list_leaves_out_is_missing(stub: StubServer, client: Client) -> None:
    stub.plays(listed("q~1", state="failed", error={"code": "E", "message": "m"}, tags=["eu"], priority=3))
    [task] = client.tasks()
    assert (task.args, task.result, task.tags, task.priority) == ({}, None, ("eu",), 3)
    assert task.error == {"code": "E", "message": "m"}


@pytest.mark.parametrize("page_size", [0, 101, -1])
def test_an_impossible_page_is_refused_at_once(stub: StubServer, client: Client, page_size: int) -> None:
    with pytest.raises(UsageError, match="page_size"):
        client.tasks(page_size=page_size)
    assert stub.asked == []


def test_a_broken_answer_within_a_list_is_asked_for_again(stub: StubServer, client: Client) -> None:
    again = problem(503, "STORE_UNAVAILABLE")
    stub.plays(listed("q~1", next_page_token="t"), again, listed("q~2"))
    assert [task.id for task in client.tasks()] == ["q~1", "q~2"]
    assert stub.asked[1].path == stub.asked[2].path


def test_a_list_that_does_not_go_on_is_no_endless_loop(stub: StubServer, client: Client) -> None:
    stub.plays(listed(next_page_token="t"), listed(next_page_token="t"))
    with pytest.raises(UnexpectedAnswer, match="does not go on"):
        list(client.tasks())


@pytest.mark.parametrize(
    "answer",
    [{}, {"tasks": None}, {"tasks": [{}]}, {"tasks": [], "next_page_token": 5}, {"tasks": [5]}],
    ids=str,
)
def test_an_answer_that_is_no_list_is_said_to_be_none(
    stub: StubServer, client: Client, answer: object
) -> None:
    stub.plays(Reply(200, answer))
    with pytest.raises(UnexpectedAnswer):
        list(client.tasks())
