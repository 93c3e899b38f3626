"""Waking in AWS: what is sent, what is not, and that it never hurts the one who sends."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable

import pytest
from invocations import Invocations
from wake_queue import Queue

from bide.settings import Settings
from bide.wake import NoWake, Wake
from local import ports
from local.aws.running import RunningAws
from workers import fleet

Configure = Callable[..., Settings]


@pytest.fixture
def ring(configure: Configure) -> Callable[..., Wake]:
    """The API's way of waking under these variables."""
    return lambda **variables: fleet.doorbell(configure(**variables))


def test_a_direct_wake_calls_the_drain_function_once_per_worker(
    ring: Callable[..., Wake], invocations: Invocations
) -> None:
    ring().start(3)
    assert [(i.path, i.kind) for i in invocations.seen] == [
        ("/2015-03-31/functions/bide-test-drain/invocations", "Event")
    ] * 3
    assert invocations.hops == [0, 0, 0]


def test_no_more_are_started_than_there_may_be(ring: Callable[..., Wake], invocations: Invocations) -> None:
    ring(BIDE_WORKERS_MAX="2").start(9)
    assert len(invocations.seen) == 2


def test_a_wake_by_queue_is_one_message_that_says_how_many(
    ring: Callable[..., Wake], queue: Queue, invocations: Invocations
) -> None:
    ring(BIDE_WAKE="sqs").start(3)
    assert queue.wait() == [{"start": 3, "hops": 0}]
    assert invocations.seen == []


def test_a_wake_by_stream_is_one_record_that_says_how_many(
    ring: Callable[..., Wake], aws: RunningAws, invocations: Invocations
) -> None:
    kinesis = aws.client("kinesis")
    name = f"s-{secrets.token_hex(6)}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    ring(BIDE_WAKE="kinesis", BIDE_WAKE_STREAM=name).start(3)
    (shard,) = kinesis.list_shards(StreamName=name)["Shards"]
    iterator = kinesis.get_shard_iterator(
        StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    (record,) = kinesis.get_records(ShardIterator=iterator)["Records"]
    assert record["Data"] == b'{"start":3,"hops":0}'
    assert invocations.seen == []


@pytest.mark.parametrize("way", ["invoke", "sqs", "kinesis"])
def test_an_alarm_is_a_delayed_message_however_workers_are_started(
    ring: Callable[..., Wake], queue: Queue, invocations: Invocations, way: str
) -> None:
    ring(BIDE_WAKE=way, BIDE_WAKE_STREAM="unused").alarm(300_900)
    assert (queue.now(), queue.delayed()) == ([], 1)
    assert invocations.seen == []


@pytest.mark.parametrize("delay_ms", [1, 1000])
def test_an_alarm_never_rings_early(ring: Callable[..., Wake], queue: Queue, delay_ms: int) -> None:
    wake = ring()
    set_at = time.monotonic()
    wake.alarm(delay_ms)
    assert queue.wait() == [{"start": 0, "hops": 0}]
    assert time.monotonic() - set_at >= delay_ms / 1000


def test_an_alarm_for_now_rings_at_once(
    ring: Callable[..., Wake], queue: Queue, invocations: Invocations
) -> None:
    ring().alarm(0)
    assert queue.now() == [{"start": 0, "hops": 0}]
    assert invocations.seen == []


def test_the_farthest_alarm_is_one_that_the_queue_can_hold(ring: Callable[..., Wake], queue: Queue) -> None:
    wake = ring()
    wake.alarm(wake.farthest_ms)
    assert queue.delayed() == 1


def test_without_a_queue_there_is_no_alarm_clock(ring: Callable[..., Wake]) -> None:
    assert ring(BIDE_WAKE_QUEUE="").farthest_ms < 0


def test_where_workers_are_kept_running_nobody_is_woken(configure: Configure) -> None:
    settings = configure(BIDE_WAKE="none")
    assert isinstance(fleet.doorbell(settings), NoWake)
    assert isinstance(fleet.direct(settings), NoWake)


@pytest.mark.parametrize("way", ["invoke", "sqs", "kinesis"])
def test_triggers_and_workers_call_the_function_whatever_the_doorbell(
    configure: Configure, invocations: Invocations, queue: Queue, way: str
) -> None:
    fleet.direct(configure(BIDE_WAKE=way, BIDE_WAKE_STREAM="unused"), lambda: 3).start(1)
    assert invocations.hops == [3]
    assert queue.now() == []


def test_a_long_chain_of_workers_that_find_nothing_ends(
    configure: Configure, invocations: Invocations, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    settings = configure()
    fleet.direct(settings, lambda: fleet.MOST_HOPS).start(1)
    assert invocations.hops == [fleet.MOST_HOPS]
    beyond = fleet.direct(settings, lambda: fleet.MOST_HOPS + 1)
    beyond.start(1)
    beyond.alarm(5000)
    assert (len(invocations.seen), queue.delayed()) == (1, 0)
    assert "17 workers in a row found nothing to do" in caplog.text


# --- trouble ------------------------------------------------------------------------------------


def break_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens where AWS is."""
    dead = f"http://{ports.LOOPBACK}:{ports.free_port()}"
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_LAMBDA"):
        monkeypatch.setenv(name, dead)


@pytest.mark.parametrize("way", ["invoke", "sqs", "kinesis"])
def test_a_wake_that_fails_raises_nothing_and_is_logged_once(
    ring: Callable[..., Wake],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    way: str,
) -> None:
    wake = ring(BIDE_WAKE=way, BIDE_WAKE_STREAM="s")
    break_aws(monkeypatch)
    wake.start(5)
    wake.start(1)
    wake.alarm(5000)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "no worker could be started" in errors[0].getMessage()


def test_a_throttle_is_asked_again_once_and_no_more(
    ring: Callable[..., Wake], invocations: Invocations, caplog: pytest.LogCaptureFixture
) -> None:
    invocations.status = 429
    ring().start(5)
    assert len(invocations.seen) == 2
    assert "no worker could be started" in caplog.text


def test_trouble_that_comes_again_after_a_wake_that_worked_is_logged_again(
    ring: Callable[..., Wake], invocations: Invocations, caplog: pytest.LogCaptureFixture
) -> None:
    wake = ring()
    for status in (500, 202, 500):
        invocations.status = status
        wake.start(1)
    assert caplog.text.count("no worker could be started") == 2


def test_a_queue_that_does_not_exist_is_no_error_of_the_caller(
    ring: Callable[..., Wake], caplog: pytest.LogCaptureFixture
) -> None:
    ring(BIDE_WAKE="sqs", BIDE_WAKE_QUEUE="nowhere").start(1)
    assert "no worker could be started" in caplog.text
