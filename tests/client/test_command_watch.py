"""`bide watch` and `bide tail`: a task while it goes on, until it is done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bide_client import exit_codes

from .ran import Bide, Ran
from .replies import ID, failed, line_json, log, problem, succeeded, task_json, unfinished
from .stub_server import Asked, Reply, StubServer


def half() -> Reply:
    return unfinished(60, progress={"fraction": 0.5, "message": "half\x1b[2J way"}, etag='"2"')


def test_watch_prints_a_line_whenever_something_is_new(served: StubServer, bide: Bide) -> None:
    served.plays(unfinished(60), unfinished(60), half(), half(), succeeded({"ip": "10.0.0.1"}))
    assert bide("watch", ID, "--every", "0.1") == Ran(
        exit_codes.OK,
        "echo  running\n"
        "echo  running  50%  half\\u001b[2J way\n"
        "echo  succeeded, after 5 ms\n"
        '{\n  "ip": "10.0.0.1"\n}\n',
        "",
    )


def test_watch_tells_what_a_task_waits_for(served: StubServer, bide: Bide) -> None:
    due = "2026-11-23T21:10:00.000Z"
    error = {"code": "TIMEOUT", "message": "too slow"}
    served.plays(unfinished(60, "retrying", attempt=2, run_at=due, error=error), succeeded())
    out = bide("watch", ID, "--every", "0.1").out
    assert out.startswith("echo  retrying, attempt 2 of 4, until 2026-11-23 21:10:00.000Z, after TIMEOUT\n")


def test_watch_of_a_task_that_fails_says_why(served: StubServer, bide: Bide) -> None:
    served.plays(failed("ValueError", "no such VM"))
    ran = bide("watch", ID)
    assert ran.code == exit_codes.UNSUCCESSFUL
    assert ran.out == "echo  failed, after 5 ms\n"
    assert ran.err == f"bide: {ID} has failed: ValueError: no such VM\n"


def test_watch_as_json_is_a_document_for_each_news(served: StubServer, bide: Bide) -> None:
    served.plays(unfinished(60), unfinished(60), half(), succeeded(5))
    ran = bide("watch", ID, "--every", "0.1", "--json")
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert [task["state"] for task in told] == ["running", "running", "succeeded"]
    assert told[-1]["result"] == 5
    assert (ran.code, ran.err) == (exit_codes.OK, "")


@pytest.mark.parametrize(
    "away",
    [Reply(fault="drop"), problem(503, "STORE_UNAVAILABLE", "The store is away.")],
    ids=["server", "store"],
)
def test_watch_outlives_a_restart(served: StubServer, bide: Bide, away: Reply) -> None:
    served.plays(unfinished(60), *[away] * 4, succeeded())
    ran = bide("watch", ID, "--every", "0.1")
    assert (ran.code, ran.err) == (exit_codes.OK, "")
    assert ran.out.startswith("echo  running\necho  succeeded")


def test_watch_keeps_to_a_prediction_that_is_sooner(served: StubServer, bide: Bide) -> None:
    """With Retry-After: 0 the next poll is held by the server, however seldom one looks."""
    served.plays(unfinished(0), succeeded())
    assert bide("watch", ID, "--every", "60").code == exit_codes.OK
    assert served.asked[1].headers["Prefer"] == "wait=2"


def test_tail_prints_log_progress_and_events(served: StubServer, bide: Bide) -> None:
    served.plays(
        log(
            line_json(1),
            line_json(2, "first\nsecond \x1b[2J", level="WARNING"),
            line_json(3, "half way", "progress", fraction=0.5),
            line_json(4, "approved", "event"),
            line_json(5, "", "progress", fraction=0.75),
            done=True,
        ),
        log(next=5, done=True),
        succeeded(),
    )
    at = "2026-11-23 21:00:00.123Z"
    assert bide("tail", ID) == Ran(
        exit_codes.OK,
        f"{at}  INFO      tasks.web: hello\n"
        f"{at}  WARNING   tasks.web: first\n"
        "    second \\u001b[2J\n"
        f"{at}  progress  50%  half way\n"
        f"{at}  event     approved\n"
        f"{at}  progress  75%\n",
        "",
    )


def test_tail_goes_on_after_a_line_and_says_what_was_dropped(served: StubServer, bide: Bide) -> None:
    served.plays(
        log(line_json(121), done=True, dropped=1000), log(next=121, done=True, dropped=1000), failed()
    )
    ran = bide("tail", ID, "--after", "120", "--json")
    assert json.loads(ran.out) == line_json(121)
    assert ran.code == exit_codes.UNSUCCESSFUL
    assert ran.err == (
        "bide: 1,000 lines were not kept, since the task says so much\n"
        f"bide: {ID} has failed: TIMEOUT: too slow\n"
    )
    assert served.asked[0].path == f"/v1/tasks/{ID}/log?after=120&page_size=100"


def test_tail_needs_an_operators_key(served: StubServer, bide: Bide) -> None:
    served.plays(problem(403, "FORBIDDEN", "This needs an operator's key."))
    ran = bide("tail", ID)
    assert ran == Ran(
        exit_codes.REFUSED,
        "",
        "bide: This needs an operator's key.\nThe key comes from BIDE_KEY or --key.\n",
    )


@pytest.mark.parametrize(
    "words",
    [
        ["watch"],
        ["watch", ID, "--every", "0"],
        ["watch", ID, "--every", "soon"],
        ["tail", ID, "--after", "-1"],
        ["tail", ".."],
    ],
    ids=" ".join,
)
def test_a_wrong_watch_ends_with_2(served: StubServer, bide: Bide, words: list[str]) -> None:
    assert (bide(*words).code, served.asked) == (exit_codes.USAGE, [])


@pytest.mark.parametrize("words", [["watch", ID, "--every", "60"], ["tail", ID]], ids=["watch", "tail"])
def test_ctrl_c_leaves_the_task_running_and_says_so(stub: StubServer, words: list[str]) -> None:
    """A line is there at once, although stdout is a pipe; then the next answer never comes."""
    held, release = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Reply:
        if len(stub.asked) == 1:
            return log(line_json(1)) if words[0] == "tail" else unfinished(0)
        held.set()
        return Reply(200, task_json("running"), {"Retry-After": "0"}, until=release)

    stub.otherwise = answer
    process = subprocess.Popen(
        [sys.executable, "-m", "bide_client", *words],
        env={**os.environ, "BIDE_URL": stub.url, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() != ""
    assert held.wait(20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    release.set()
    assert (process.returncode, out) == (exit_codes.INTERRUPTED, "")
    assert f"{ID} goes on. See it with: bide show {ID}" in err
    assert "Traceback" not in err
