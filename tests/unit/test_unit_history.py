"""What a task's attempts came to, made of its record and of what was written down."""

from __future__ import annotations

import json

import msgspec
import pytest

from bide.history import Attempt, Outcome, read_history
from bide.records import Run
from bide.state import State

FIRST = Attempt(1, "a", 1_000, 2_000, Outcome.RETRYING, "ERROR", "no")


def packed(*attempts: Attempt) -> bytes:
    return msgspec.msgpack.encode(attempts)


def failure(code: str, traceback: str = "") -> str:
    return json.dumps({"code": code, "message": "m", **({"traceback": traceback} if traceback else {})})


def test_a_task_that_nothing_has_happened_to_has_none() -> None:
    assert read_history(Run(State.READY), b"") == ((), 0, "")
    assert read_history(Run(State.EXPIRED, finished_ms=9), b"") == ((), 0, "")


def test_a_first_success_is_told_by_the_run_alone() -> None:
    run = Run(State.SUCCEEDED, attempt=1, started_ms=1_000, finished_ms=2_000, outcome="1")
    assert read_history(run, b"").attempts == (Attempt(1, "", 1_000, 2_000, Outcome.SUCCEEDED),)


@pytest.mark.parametrize(
    "run",
    [
        Run(State.RUNNING, attempt=2, worker="b", began_ms=3_000),
        Run(State.WAITING, attempt=2, resumes=1, began_ms=3_000),
        Run(State.READY, attempt=2, resumes=1, began_ms=3_000),
    ],
)
def test_an_attempt_that_is_under_way_goes_on_wherever_the_task_is(run: Run) -> None:
    attempts = read_history(run, packed(FIRST)).attempts
    assert attempts == (FIRST, Attempt(2, run.worker, 3_000, 0, Outcome.RUNNING))


@pytest.mark.parametrize("state", [State.READY, State.RETRYING, State.SCHEDULED])
def test_between_two_attempts_none_is_under_way(state: State) -> None:
    assert read_history(Run(state, attempt=1), packed(FIRST)).attempts == (FIRST,)


def test_what_is_missing_between_them_was_dropped() -> None:
    late = Attempt(9, "b", 3_000, 4_000, Outcome.FAILED, "ERROR", "no")
    assert read_history(Run(State.FAILED, attempt=9), packed(FIRST, late)).dropped == 7
    running = Run(State.RUNNING, attempt=10, worker="b")
    assert read_history(running, packed(FIRST, late)).dropped == 7


def test_the_traceback_is_that_of_the_latest_failure() -> None:
    run = Run(State.RUNNING, attempt=2, worker="b", outcome=failure("ERROR", "line 1"))
    assert read_history(run, packed(FIRST)).traceback == "line 1"


@pytest.mark.parametrize(
    "run",
    [
        Run(State.FAILED, attempt=1, outcome=failure("DEADLINE_EXCEEDED")),
        Run(State.FAILED, attempt=1, outcome=failure("OTHER", "line 1")),
        Run(State.READY, attempt=1, outcome="not json"),
        Run(State.READY, attempt=1),
        Run(State.SUCCEEDED, attempt=2, outcome='{"code": "ERROR", "message": "m", "traceback": "mine"}'),
    ],
    ids=["another failure", "another's traceback", "no failure", "none", "a result that looks like one"],
)
def test_there_is_no_traceback_but_that_failures(run: Run) -> None:
    assert read_history(run, packed(FIRST)).traceback == ""
