"""`bide attempts`: who tried, when, and what came of it."""

from __future__ import annotations

import json

from bide_client import exit_codes

from .ran import Bide, Ran
from .replies import ID, attempt_json, problem
from .stub_server import Reply, StubServer


def test_attempts_are_told_with_the_latest_traceback(served: StubServer, bide: Bide) -> None:
    lost = attempt_json(1, "lost", code="WORKER_LOST", message=None)
    last = attempt_json(2, traceback="Traceback:\n  \x1b[2J\nTimeoutError\n")
    served.plays(Reply(200, {"attempts": [lost, last]}))
    assert bide("attempts", ID) == Ran(
        exit_codes.OK,
        "attempt  worker  started                    took  outcome  why\n"
        "      1  w1      2026-11-23 21:00:00.000Z  1.5 s  lost     WORKER_LOST\n"
        "      2  w1      2026-11-23 21:00:00.000Z  1.5 s  failed   TIMEOUT: too slow\n"
        "\n"
        "attempt 2:\n"
        "Traceback:\n"
        "  \\u001b[2J\n"
        "TimeoutError\n",
        "",
    )


def test_a_task_that_has_not_begun_has_none(served: StubServer, bide: Bide) -> None:
    served.plays(Reply(200, {"attempts": []}))
    assert bide("attempts", ID).out == f"{ID} has not begun an attempt\n"


def test_attempts_as_json_are_what_the_server_said(served: StubServer, bide: Bide) -> None:
    said = {"attempts": [attempt_json(1, "running")]}
    served.plays(Reply(200, said))
    ran = bide("attempts", ID, "--json")
    assert (json.loads(ran.out), ran.out.count("\n")) == (said, 1)


def test_attempts_of_no_task_end_with_4(served: StubServer, bide: Bide) -> None:
    served.plays(problem(404, "TASK_NOT_FOUND", "There is no such task."))
    assert bide("attempts", ID).code == exit_codes.NOT_FOUND
