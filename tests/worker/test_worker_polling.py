"""Shared polling: one call for all who wait, whichever worker makes it."""

from __future__ import annotations

import json
import os
import signal
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from poller_tasks import POLLERS
from stage import SHORT_LEASE, Stage, await_that

from bide.ids import TaskId
from bide.state import State


class Call(NamedTuple):
    """One call of a poller."""

    at: float
    """Unix seconds."""
    pid: int
    keys: list[Any]


def calls(stage: Stage, poller: str) -> list[Call]:
    return [Call(*json.loads(token)) for token in stage.effects(f"call:{poller}")]


def gaps(stage: Stage, poller: str) -> list[float]:
    """Seconds from each call to the next."""
    return [later.at - sooner.at for sooner, later in pairwise(calls(stage, poller))]


def poll(stage: Stage, poller: str, key: Any, **args: Any) -> TaskId:
    return stage.submit("poll_one", name=f"{poller}/{key}", poller=poller, key=key, **args)


def watchers(stage: Stage) -> int:
    (key,) = stage.store.keys.slot("default", ("watched",))
    count: int = stage.store.command("ZCARD", key)
    return count


def is_asleep(stage: Stage, poller: str) -> bool:
    """Whether the poller has no next round."""
    run = stage.reads.task(POLLERS[poller].home, "~").run
    return run.state is State.WAITING and run.due_ms == 0


def start_two(stage: Stage, **settings: Any) -> None:
    for _ in range(2):
        stage.start_worker(**settings)


def test_one_call_an_interval_asks_for_all_tasks_of_all_workers_and_each_gets_its_answer(
    stage: Stage,
) -> None:
    ids = {key: poll(stage, "doubles", key) for key in range(100, 160)}
    start_two(stage, concurrency=20)
    for key, id in ids.items():
        assert stage.until(id).run.state is State.SUCCEEDED
        assert stage.outcome(id) == 2 * key
    made = calls(stage, "doubles")
    assert len(made) < len(ids) / 4
    assert len({stage.view(id).run.attempt for id in ids.values()}) == 1
    # A call may be late, and the next in time.
    assert min(gaps(stage, "doubles")) > 0.15
    await_that(lambda: watchers(stage) == 0)


def test_keys_are_numbers_or_text_and_not_mixed_up(stage: Stage) -> None:
    start_two(stage)
    id = stage.submit("poll_many", poller="doubles", keys=[1, "1", "a b", "ä/#"])
    stage.until(id)
    assert stage.outcome(id) == [2, "11", "a ba b", "ä/#ä/#"]


@pytest.mark.parametrize("key", [True, 1.5, None, ["k"], "x" * 513])
def test_what_is_no_key_is_refused(stage: Stage, key: Any) -> None:
    stage.start_worker()
    id = stage.submit("poll_one", name="n", poller="doubles", key=key)
    stage.until(id)
    assert stage.outcome(id)["code"] == "MISUSE"
    assert "A key of doubles is a str or an int" in stage.outcome(id)["message"]
    assert calls(stage, "doubles") == []


def test_many_tasks_that_wait_for_the_same_key_ask_once(stage: Stage) -> None:
    ids = [stage.submit("poll_one", name="n", poller="doubles", key=5) for _ in range(20)]
    start_two(stage)
    for id in ids:
        stage.until(id)
        assert stage.outcome(id) == 10
    assert all(call.keys == [5] for call in calls(stage, "doubles"))


def test_an_exception_for_one_key_fails_its_task_alone(stage: Stage) -> None:
    ids = {key: poll(stage, "doubles", key) for key in (12, 13, 14)}
    start_two(stage)
    states = {key: stage.until(id).run.state for key, id in ids.items()}
    assert states == {12: State.SUCCEEDED, 13: State.FAILED, 14: State.SUCCEEDED}
    assert stage.outcome(ids[13])["message"] == "ValueError: no double of 13"


@pytest.mark.parametrize(
    ("poller", "least"),
    [("throttled_by_aws", [0.2, 0.4, 0.8]), ("throttled_by_http", [1.5])],
    ids=["botocore's ThrottlingException", "429 with Retry-After"],
)
def test_throttling_makes_everyone_wait_longer_and_nobody_fail(
    stage: Stage, poller: str, least: list[float]
) -> None:
    ids = [poll(stage, poller, key) for key in range(10)]
    start_two(stage)
    for id in ids:
        assert stage.until(id).run.state is State.SUCCEEDED
    for gap, wanted in zip(gaps(stage, poller), least, strict=False):
        assert gap > 0.75 * wanted
    assert len(calls(stage, poller)) >= len(least) + 1


def test_a_call_that_goes_on_failing_is_split_until_only_the_key_that_spoils_it_fails(stage: Stage) -> None:
    ids = {key: poll(stage, "spoilt", key) for key in ("one", "two", "three", "bad", "four", "five")}
    start_two(stage)
    states = {key: stage.until(id).run.state for key, id in ids.items()}
    assert states.pop("bad") is State.FAILED
    assert set(states.values()) == {State.SUCCEEDED}
    assert stage.outcome(ids["bad"])["message"] == "KeyError: 'bad spoils it'"
    spoilt = [call.keys for call in calls(stage, "spoilt") if "bad" in call.keys]
    assert len(spoilt) > 3
    assert spoilt[-1] == ["bad"]


def test_a_wait_that_times_out_is_struck_off(stage: Stage) -> None:
    start_two(stage)
    id = poll(stage, "silent", "k", timeout=0.5)
    stage.until(id)
    assert stage.outcome(id)["code"] == "WAIT_TIMEOUT"
    await_that(lambda: watchers(stage) == 0)
    assert calls(stage, "silent")


def test_a_poller_that_nobody_waits_for_any_more_makes_no_calls(stage: Stage) -> None:
    start_two(stage)
    ids = [poll(stage, "silent", key) for key in range(3)]
    await_that(lambda: len(calls(stage, "silent")) >= 2)
    for id in ids:
        stage.store.cancel(id, "default")
    await_that(lambda: is_asleep(stage, "silent"))
    made = len(calls(stage, "silent"))
    for _ in range(3):
        stage.until(stage.submit("nap", name="n", seconds=0.2))
    assert len(calls(stage, "silent")) == made
    assert watchers(stage) == 0


def test_a_poller_that_sleeps_is_woken_by_who_waits_next(stage: Stage) -> None:
    start_two(stage)
    stage.until(poll(stage, "doubles", 1))
    await_that(lambda: is_asleep(stage, "doubles"))
    id = poll(stage, "doubles", 21)
    stage.until(id)
    assert stage.outcome(id) == 42


def test_calls_are_spaced_by_their_rate_and_carry_no_more_than_a_batch(stage: Stage) -> None:
    """Two keys a call, four calls a second."""
    ids = [poll(stage, "spaced", key) for key in range(8)]
    start_two(stage)
    for id in ids:
        assert stage.until(id).run.state is State.SUCCEEDED
    made = calls(stage, "spaced")
    assert len(made) >= 4
    assert max(len(call.keys) for call in made) == 2
    assert min(gaps(stage, "spaced")) > 0.15


def test_a_call_whose_worker_is_killed_is_made_again_by_another_and_nobody_is_answered_twice(
    stage: Stage,
) -> None:
    ids = {key: stage.submit("poll_and_stay", poller="slow", key=key) for key in ("a", "b", 3)}
    start_two(stage, **SHORT_LEASE)
    await_that(lambda: calls(stage, "slow"))
    await_that(lambda: {stage.state(id) for id in ids.values()} == {State.WAITING})
    first = calls(stage, "slow")[0]
    os.kill(first.pid, signal.SIGKILL)
    for id in ids.values():
        await_that(lambda id=id: stage.view(id).run.awaits == "go")  # type: ignore[misc]
    assert first.pid not in {call.pid for call in calls(stage, "slow")[1:]}
    await_that(lambda: is_asleep(stage, "slow"))
    for key, id in ids.items():
        assert stage.reads.unread_events(id, "") == ()
        stage.store.send_event(id, "default", "go", b"null")
        stage.until(id)
        assert stage.outcome(id) == f"{key} at last"


def test_polls_outlive_the_workers_that_began_them(stage: Stage) -> None:
    """Worker after worker is killed, until the answers have come all the same."""
    ids = {key: stage.submit("poll_and_stay", poller="doubles", key=key) for key in range(20, 50)}
    start_two(stage, **SHORT_LEASE)
    for _ in range(4):
        before = len(calls(stage, "doubles"))
        await_that(
            lambda before=before: (  # type: ignore[misc]
                len(calls(stage, "doubles")) > before
                or all(stage.view(id).run.awaits == "go" for id in ids.values())
            )
        )
        stage.end(stage.workers[-2], signal.SIGKILL)
        stage.start_worker(**SHORT_LEASE)
    for key, id in ids.items():
        await_that(lambda id=id: stage.view(id).run.awaits == "go")  # type: ignore[misc]
        # What came for an attempt that died before it read it stays unread.
        attempt = stage.view(id).run.attempt
        assert not [
            event for event in stage.reads.unread_events(id, "") if event.name.endswith(f".{attempt}")
        ]
        stage.store.send_event(id, "default", "go", b"null")
        stage.until(id)
        assert stage.outcome(id) == 2 * key
