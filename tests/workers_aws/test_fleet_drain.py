"""The drain function: a worker per invocation, and nothing of it left afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from invocations import Invocations
from lambda_context import LambdaContext
from wake_queue import Queue

from bide.ids import TaskId
from bide.reads import Reads
from bide.settings import Settings
from bide.state import State
from bide.store import Store
from workers import fleet
from workers.drain import drain, lives_s

Configure = Callable[..., Settings]
Submit = Callable[..., TaskId]
HERE = Path(__file__).parent


def state(store: Store, id: TaskId) -> State:
    return Reads(store).task(id, "default").run.state


def test_an_invocation_does_what_is_ready_and_ends(
    configure: Configure, submit: Submit, store: Store, invocations: Invocations
) -> None:
    configure()
    ids = [submit("echo", value=number) for number in range(20)]
    assert drain({"hops": 3}, LambdaContext()) == {"hops": 0}
    assert {state(store, id) for id in ids} == {State.SUCCEEDED}
    assert invocations.seen == []


@pytest.mark.parametrize(
    ("event", "hops"),
    [
        ({"hops": 3}, 4),
        ({"hops": fleet.MOST_HOPS}, fleet.MOST_HOPS + 1),
        *[
            (event, 1)
            for event in ({}, [], None, {"hops": "x"}, {"hops": 10**9}, {"hops": -7}, {"hops": 1e300})
        ],
    ],
)
def test_an_invocation_that_finds_nothing_to_do_counts_a_hop(
    configure: Configure, event: object, hops: int
) -> None:
    configure()
    assert drain(event, LambdaContext()) == {"hops": hops}


def test_invocations_of_one_process_share_no_connection_and_leave_no_thread(
    configure: Configure, submit: Submit, store: Store, store_url: str
) -> None:
    """What a freeze would have cut is not there to be used again."""
    configure()
    drain({}, LambdaContext())
    before = set(threading.enumerate())
    with redis.Redis.from_url(store_url) as other:
        for number in range(2):
            id = submit("echo", value=number)
            mine = other.client_id()
            drain({}, LambdaContext())
            assert state(store, id) == State.SUCCEEDED
            until = time.monotonic() + 60
            while [client for client in other.client_list() if int(client["id"]) > mine]:
                assert time.monotonic() < until, "a connection of the invocation is still there"
    assert set(threading.enumerate()) == before


def test_a_process_that_is_used_again_is_not_billed_for_its_past(
    configure: Configure, submit: Submit, store: Store
) -> None:
    configure()
    submit("echo", value=0)
    drain({}, LambdaContext())
    before = Reads(store).totals().worker_ms
    begun = time.monotonic()
    submit("echo", value=1)
    drain({}, LambdaContext())
    assert 0 < Reads(store).totals().worker_ms - before <= (time.monotonic() - begun) * 1000 + 1


def test_a_worker_that_leaves_only_waits_behind_sets_their_alarm(
    configure: Configure, submit: Submit, store: Store, queue: Queue, invocations: Invocations
) -> None:
    configure()
    id = submit("sleep", seconds=300)
    assert drain({}, LambdaContext()) == {"hops": 0}
    assert state(store, id) == State.WAITING
    assert (queue.delayed(), invocations.seen) == (1, [])


def test_a_worker_lives_as_long_as_the_settings_say_or_else_as_its_function() -> None:
    settings = Settings(worker_seconds=840, grace_seconds=6)
    assert lives_s(settings, LambdaContext(900)) == 840
    assert lives_s(settings, LambdaContext(60)) == pytest.approx(32, abs=1)
    assert lives_s(settings, LambdaContext(3)) == 0


def test_a_worker_whose_time_is_up_hands_over_what_is_ready_to_another(
    configure: Configure, submit: Submit, store: Store, invocations: Invocations
) -> None:
    configure(
        BIDE_TASKS="fleet_tasks", BIDE_CONCURRENCY="1", BIDE_WORKERS_MAX="1",
        BIDE_WORKER_SECONDS="1", BIDE_IDLE_SECONDS="2",
    )  # fmt: skip
    ids = [submit("slow") for _ in range(12)]
    assert drain({"hops": 5}, LambdaContext()) == {"hops": 0}
    states = [state(store, id) for id in ids]
    assert set(states) == {State.SUCCEEDED, State.READY}
    assert invocations.hops == [0]


def test_a_worker_that_does_not_suffice_has_others_started(
    configure: Configure, submit: Submit, store: Store, invocations: Invocations
) -> None:
    configure(BIDE_TASKS="fleet_tasks", BIDE_CONCURRENCY="1", BIDE_WORKERS_MAX="3", BIDE_IDLE_SECONDS="2")
    ids = [submit("slow") for _ in range(5)]
    drain({}, LambdaContext())
    assert {state(store, id) for id in ids} == {State.SUCCEEDED}
    assert invocations.hops == [0, 0]


def test_a_worker_whose_time_is_up_parks_what_waits_and_sets_its_alarm(
    configure: Configure, submit: Submit, store: Store, queue: Queue, invocations: Invocations
) -> None:
    configure(BIDE_WORKER_SECONDS="1", BIDE_IDLE_SECONDS="60", BIDE_HOT_WAIT_SECONDS="60")
    ids = [submit("sleep", seconds=seconds) for seconds in (20, 30, 40)]
    drain({}, LambdaContext())
    assert {state(store, id) for id in ids} == {State.WAITING}
    assert (queue.delayed(), invocations.seen) == (1, [])


_STUBBORN = """
from lambda_context import LambdaContext
from workers.drain import drain
drain({}, LambdaContext(24))
print("returned", flush=True)
"""


def test_a_process_with_a_thread_that_cannot_be_ended_ends(
    configure: Configure, submit: Submit, store: Store
) -> None:
    """It would run on in whatever the same process is invoked for next."""
    configure(BIDE_TASKS="fleet_tasks", BIDE_GRACE_SECONDS="0.1")
    id = submit("stubborn")
    done = subprocess.run(
        [sys.executable, "-c", _STUBBORN],
        env={**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1]}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == ("begun\n", 1)
    assert "ending this process: a plain function still runs" in done.stderr
    assert state(store, id) in (State.READY, State.RETRYING, State.FAILED)
