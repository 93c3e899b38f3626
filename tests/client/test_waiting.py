"""Waiting for a task: when it is asked for again, and how the wait ends."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest

from bide_client import (
    Client,
    TaskCancelled,
    TaskExpired,
    TaskFailed,
    TaskNotFound,
    UsageError,
    WaitTimeout,
)

from .replies import (
    ID,
    accepted,
    cancelled,
    expired,
    failed,
    problem,
    succeeded,
    task_json,
    unchanged,
    unfinished,
)
from .stub_server import Asked, Reply, StubServer


def gaps(stub: StubServer) -> list[float]:
    """Seconds between the requests."""
    times = [asked.at for asked in stub.asked]
    return [after - before for before, after in pairwise(times)]


def test_the_result_is_what_the_task_returned(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(), succeeded({"ip": "10.0.0.1"}))
    assert client.submit("echo").result(timeout=5) == {"ip": "10.0.0.1"}


def test_a_finished_task_is_not_asked_for_again(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(), succeeded(None))
    task = client.submit("echo")
    assert task.result() is None
    assert task.wait(0).state == "succeeded"
    assert len(stub.asked) == 2


def test_retry_after_of_a_second_or_more_is_slept_through(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(retry_after=1), succeeded())
    client.submit("echo").result()
    assert gaps(stub)[0] >= 1
    assert stub.asked[1].headers["Prefer"] is None


def test_the_time_since_the_answer_counts_towards_retry_after(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(retry_after=3), succeeded())
    task = client.submit("echo")
    time.sleep(2)
    began = time.monotonic()
    task.result()
    assert time.monotonic() - began < 3


def test_a_task_that_ends_very_soon_is_asked_for_at_once_and_held(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(retry_after=0), succeeded())
    client.submit("echo").result()
    assert stub.asked[1].headers["Prefer"] == "wait=2"
    assert gaps(stub)[0] < 0.5


def test_a_server_that_does_not_hold_is_asked_ever_more_slowly(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(), *(unfinished(0) for _ in range(5)), succeeded())
    began = time.monotonic()
    client.submit("echo").result()
    assert time.monotonic() - began >= 0.02 + 0.04 + 0.08 + 0.16 + 0.32


def test_a_poll_that_was_held_is_followed_up_without_delay(stub: StubServer, client: Client) -> None:
    release = threading.Event()
    held = Reply(200, task_json("running"), {"Retry-After": "0"}, until=release)

    def answer(asked: Asked) -> Reply:
        if len(stub.asked) == 6:
            threading.Timer(0.6, release.set).start()
            return held
        return unfinished(0) if len(stub.asked) < 6 else succeeded()

    stub.plays(accepted())
    stub.otherwise = answer
    client.submit("echo").result()
    # The backoff is 0.32 s by now: part of the 0.6 s of the hold, not on top of it.
    assert gaps(stub)[-1] < 0.6 + 0.25


def test_without_prefer_wait_polls_follow_the_backoff_from_the_start(stub: StubServer) -> None:
    stub.plays(accepted(), unfinished(0), succeeded())
    with Client(stub.url, prefer_wait=0) as client:
        began = time.monotonic()
        client.submit("echo").result()
    assert [asked.headers["Prefer"] for asked in stub.asked] == [None, None, None]
    assert time.monotonic() - began >= 0.02 + 0.04


def test_a_hold_never_outlasts_the_wait(stub: StubServer) -> None:
    stub.plays(accepted(), succeeded())
    with Client(stub.url, prefer_wait=20) as client:
        client.submit("echo").wait(3.9)
    assert stub.asked[1].headers["Prefer"] == "wait=3"


def test_polls_carry_the_etag_and_understand_304(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(), unfinished(etag='"1"'), unchanged(), succeeded())
    assert client.submit("echo").result() == 1
    assert [asked.headers["If-None-Match"] for asked in stub.asked] == [None, None, '"1"', '"1"']


def test_status_asks_once_and_keeps_what_is_unchanged(stub: StubServer, client: Client) -> None:
    stub.plays(unfinished(5), unchanged(5))
    task = client.task(ID)
    assert task.latest is None
    first = task.status()
    assert first.state == "running"
    assert task.status() == first == task.latest


def test_a_known_id_is_waited_for(stub: StubServer, client: Client) -> None:
    stub.plays(unfinished(0), succeeded(5))
    assert client.task(ID).result(5) == 5
    assert [asked.headers["Prefer"] for asked in stub.asked] == [None, "wait=2"]


def test_wait_0_asks_once(stub: StubServer, client: Client) -> None:
    stub.plays(unfinished(60))
    with pytest.raises(WaitTimeout):
        client.task(ID).wait(0)
    assert len(stub.asked) == 1


def test_a_wait_that_runs_out_asks_a_last_time_and_tells_the_state(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(retry_after=60), unfinished(60, "retrying"))
    task = client.submit("echo")
    began = time.monotonic()
    with pytest.raises(WaitTimeout, match=r"still retrying after 0\.2 s") as caught:
        task.wait(0.2)
    assert 0.2 <= time.monotonic() - began < 30
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.task_id == ID
    assert caught.value.task_status is not None
    assert caught.value.task_status.state == "retrying"


def test_a_wait_may_be_taken_up_again(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(retry_after=1), unfinished(1), succeeded())
    task = client.submit("echo")
    with pytest.raises(WaitTimeout):
        task.wait(0.1)
    assert task.wait(5).state == "succeeded"


def test_a_server_that_goes_silent_does_not_stretch_the_wait(stub: StubServer, client: Client) -> None:
    silent = threading.Event()
    stub.plays(accepted(), Reply(200, task_json(), until=silent))
    task = client.submit("echo")
    began = time.monotonic()
    with pytest.raises(WaitTimeout):
        task.wait(0.3)
    assert time.monotonic() - began < 30
    silent.set()


def test_a_failed_task_raises_what_went_wrong(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(), failed("ZeroDivisionError", "division by zero", traceback="Traceback ..."))
    with pytest.raises(TaskFailed, match="ZeroDivisionError: division by zero") as caught:
        client.submit("echo").result()
    error = caught.value
    assert (error.code, error.message, error.traceback) == (
        "ZeroDivisionError",
        "division by zero",
        "Traceback ...",
    )
    assert error.task_status.state == "failed"


def test_a_cancelled_task_raises_task_cancelled(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(), cancelled())
    with pytest.raises(TaskCancelled, match=ID):
        client.submit("echo").result()


def test_an_expired_task_raises_task_expired(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(), expired())
    with pytest.raises(TaskExpired, match=f"{ID} has expired") as caught:
        client.submit("echo").result()
    assert caught.value.task_status.state == "expired"


def test_a_parked_task_is_waited_for(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(), unfinished(0, "waiting", waited_ms=5), succeeded("through"))
    assert client.submit("echo").result(5) == "through"


def test_a_status_tells_progress_and_cost(stub: StubServer, client: Client) -> None:
    said = {"fraction": 0.5, "message": "half"}
    figures = {"billed_ms": 1.874, "waited_ms": 60_000, "replays": 2, "polls": 12}
    stub.plays(unfinished(5, "waiting", progress=said, **figures))
    status = client.task(ID).status()
    assert (status.state, status.done, status.progress) == ("waiting", False, said)
    assert {name: getattr(status, name) for name in figures} == figures


def test_an_earlier_server_tells_no_progress_and_no_cost(stub: StubServer, client: Client) -> None:
    json = task_json("running")
    for name in ("progress", "billed_ms", "waited_ms", "replays", "polls"):
        del json[name]
    stub.plays(Reply(200, json, {"Retry-After": "5"}))
    status = client.task(ID).status()
    assert (status.progress, status.billed_ms, status.waited_ms) == (None, 0, 0)


def test_an_end_that_this_client_does_not_know_is_a_failure(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(), Reply(200, task_json("evaporated", done=True)))
    with pytest.raises(TaskFailed, match="evaporated"):
        client.submit("echo").result()


def test_wait_returns_the_final_status_however_the_task_ended(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(), failed())
    assert client.submit("echo").wait().state == "failed"


def test_a_cancel_of_a_waiting_task_ends_it(stub: StubServer, client: Client) -> None:
    stub.plays(accepted(retry_after=60), cancelled())
    task = client.submit("echo")
    assert task.cancel().done
    assert (stub.asked[1].method, stub.asked[1].path) == ("POST", f"/v1/tasks/{ID}/cancel")
    with pytest.raises(TaskCancelled):
        task.result()


def test_a_cancel_of_a_running_task_is_seen_by_waiting(stub: StubServer, client: Client) -> None:
    stub.plays(Reply(202, task_json("running"), {"Retry-After": "0"}), cancelled())
    task = client.task(ID)
    assert not task.cancel().done
    assert task.wait(5).state == "cancelled"


def test_an_unknown_task_is_not_found(stub: StubServer, client: Client) -> None:
    stub.plays(problem(404, "TASK_NOT_FOUND"))
    with pytest.raises(TaskNotFound):
        client.task("default~nosuch").wait()


def test_an_id_cannot_leave_its_place_in_the_path(stub: StubServer, client: Client) -> None:
    stub.plays(problem(404, "TASK_NOT_FOUND"))
    with pytest.raises(TaskNotFound):
        client.task("../server?x#y").status()
    assert stub.asked[0].path == "/v1/tasks/..%2Fserver%3Fx%23y"


@pytest.mark.parametrize("id", ["", ".", ".."])
def test_ids_that_no_path_can_hold_are_refused(client: Client, id: str) -> None:
    with pytest.raises(UsageError, match="no task id"):
        client.task(id)
