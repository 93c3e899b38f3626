"""The triggers: one short waker, by the schedule, the queue and the stream."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from chalice.app import KinesisEvent, SQSEvent
from invocations import Invocations
from lambda_context import LambdaContext
from refusals import FAULTS, REFUSALS
from store_proxy import RefusingProxy
from wake_queue import Queue

from bide.bulk import Bulk, Kind
from bide.ids import TaskId
from bide.reads import Reads
from bide.settings import Settings
from bide.state import State
from bide.store import Store
from bide.wake import Waker
from local import ports
from workers import environment, fleet, triggers
from workers.drain import drain

Configure = Callable[..., Settings]
Submit = Callable[..., TaskId]


SCHEDULED = {
    "version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events", "account": "1",
    "time": "2026-01-01T00:00:00Z", "region": "eu-central-1", "resources": [], "detail": {},
}  # fmt: skip


def run_tick() -> None:
    triggers.tick(SCHEDULED, None)


def by_queue(*bodies: str) -> None:
    records = [{"body": body, "receiptHandle": "r"} for body in bodies]
    triggers.wake_by_queue(SQSEvent({"Records": records}, None))


def by_stream(*data: bytes) -> None:
    triggers.wake_by_stream(
        KinesisEvent(
            {
                "Records": [
                    {
                        "kinesis": {
                            "data": base64.b64encode(one).decode(),
                            "sequenceNumber": "1",
                            "partitionKey": "k",
                            "kinesisSchemaVersion": "1.0",
                            "approximateArrivalTimestamp": 1.0,
                        }
                    }
                    for one in data
                ]
            },
            None,
        )
    )


def hint(start: int, hops: int = 0) -> str:
    return json.dumps({"start": start, "hops": hops})


@pytest.mark.parametrize("trigger", [run_tick, by_queue, by_stream])
def test_each_trigger_starts_a_worker_for_what_is_ready(
    configure: Configure, submit: Submit, invocations: Invocations, trigger: Callable[[], None]
) -> None:
    configure()
    submit("echo", value=1)
    trigger()
    assert invocations.hops == [0]


def test_nothing_is_started_where_there_is_nothing_to_do(
    configure: Configure, invocations: Invocations, queue: Queue
) -> None:
    configure()
    run_tick()
    assert (invocations.seen, queue.now(), queue.delayed()) == ([], [], 0)


def test_the_tick_sets_an_alarm_for_what_is_due_before_the_tick_after_next(
    configure: Configure, submit: Submit, invocations: Invocations, queue: Queue
) -> None:
    configure()
    submit("echo", value=1, delay_ms=100_000)
    run_tick()
    assert (invocations.seen, queue.delayed()) == ([], 1)


def test_the_tick_leaves_what_is_due_later_to_later_ticks(
    configure: Configure, submit: Submit, queue: Queue
) -> None:
    configure()
    submit("echo", value=1, delay_ms=triggers.WITHIN_MS + 60_000)
    run_tick()
    assert queue.delayed() == 0


def test_without_an_alarm_clock_a_tick_starts_a_worker_for_what_has_come_due(
    configure: Configure, submit: Submit, invocations: Invocations, store: Store
) -> None:
    configure(BIDE_WAKE_QUEUE="")
    id = submit("echo", value=1, delay_ms=1)
    while Reads(store).task(id, "default").run.due_ms > store.now_ms():
        pass
    run_tick()
    assert len(invocations.seen) == 1
    assert Reads(store).task(id, "default").run.state == State.READY


def test_a_look_with_a_bulk_operation_under_way_has_the_next_one_follow_at_once(
    configure: Configure, submit: Submit, store: Store, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the tick alone it would be a minute until then."""
    settings = configure(BIDE_TASKS="fleet_tasks")
    for _ in range(250):
        submit("reject")
    drain({}, LambdaContext())
    waker = Waker(store, fleet.doorbell(settings))
    begun = Bulk(store, waker).begin("default", Kind.PURGE, dry_run=False, goes_on=lambda: False)
    go_on = Bulk.go_on

    def one_part(bulk: Bulk, slot: str, _: Callable[[], bool]) -> bool:
        turns = iter([True, True])  # to read the operations, and for one part
        return go_on(bulk, slot, lambda: next(turns, False))

    monkeypatch.setattr(Bulk, "go_on", one_part)
    looks = 0
    while Bulk(store, waker).show(begun.id).operation.running:
        assert queue.wait() == [{"start": 0, "hops": 0}]
        by_queue(hint(0))
        looks += 1
    assert Bulk(store, waker).show(begun.id).operation.changed == 250
    assert (looks, queue.now()) == (2, [])


def test_without_a_queue_a_bulk_operation_waits_for_the_tick(
    configure: Configure, submit: Submit, store: Store, queue: Queue
) -> None:
    settings = configure(BIDE_TASKS="fleet_tasks", BIDE_WAKE_QUEUE="")
    for _ in range(150):
        submit("reject")
    drain({}, LambdaContext())
    waker = Waker(store, fleet.doorbell(settings))
    begun = Bulk(store, waker).begin("default", Kind.PURGE, dry_run=False, goes_on=lambda: False)
    assert queue.now() == []
    run_tick()
    assert not Bulk(store, waker).show(begun.id).operation.running


def test_hints_add_up_to_the_workers_that_they_ask_for(
    configure: Configure, invocations: Invocations
) -> None:
    configure()
    by_queue(hint(2), hint(0), hint(1))
    assert len(invocations.seen) == 3


def test_hints_start_no_more_workers_than_there_may_be(
    configure: Configure, invocations: Invocations
) -> None:
    configure(BIDE_WORKERS_MAX="2")
    by_stream(*[hint(1).encode()] * 100)
    assert len(invocations.seen) == 2


def test_hops_are_passed_on(configure: Configure, invocations: Invocations) -> None:
    configure()
    by_queue(hint(1, hops=7), hint(0, hops=2))
    assert invocations.hops == [7]


def test_hops_end_a_chain_by_way_of_the_queue_too(
    configure: Configure, submit: Submit, invocations: Invocations
) -> None:
    configure()
    submit("echo", value=1)
    by_queue(hint(1, hops=fleet.MOST_HOPS + 1))
    assert invocations.seen == []


@pytest.mark.parametrize("body", ["", "ring", "[]", '{"start": "x"}', '{"start": 1e9}'])
def test_whatever_a_message_says_somebody_has_rung(
    configure: Configure, submit: Submit, invocations: Invocations, body: str
) -> None:
    configure()
    submit("echo", value=1)
    by_queue(body)
    by_stream(body.encode())
    assert len(invocations.seen) in (1, 2)


HOPELESS = [
    "[" * 100_000, '{"x":' + "[" * 100_000, '{"x":' + '{"x":' * 20_000, "\x00", '{"start":"\ud800"}',
    hint(0, 10**9), hint(0, -1), hint(-(10**9)), '{"hops": null}', '{"hops": "many"}', '{"hops": 1e400}',
    '{"start": null}', '{"start": -1}', '{"hops": ' + "9" * 100_000 + "}", '{"hops": true}',
]  # fmt: skip
"""Messages that no sender of ours would send."""


def test_hopeless_messages_fail_no_trigger_and_stop_no_other_of_their_batch(
    configure: Configure, invocations: Invocations, caplog: pytest.LogCaptureFixture
) -> None:
    configure()
    for message in HOPELESS:
        invocations.seen.clear()
        by_queue(message, hint(2, hops=3), message)
        assert invocations.hops == [3, 3], message[:40]
        invocations.seen.clear()
        by_stream(message.encode("utf-8", "replace"), hint(1).encode())
        assert len(invocations.seen) == 1, message[:40]
    assert "2 of 3 messages say nothing that is known here" in caplog.text


def test_records_of_a_stream_need_not_be_text(configure: Configure, invocations: Invocations) -> None:
    configure()
    by_stream(b"\xff\xfe", b"\x80" * 100, b'{"start":1,"x":"\xff"}', hint(1).encode())
    assert len(invocations.seen) in (1, 2)


def dead_store() -> str:
    return f"redis://{ports.LOOPBACK}:{ports.free_port()}"


@pytest.mark.parametrize("trigger", [lambda: by_queue(hint(1)), lambda: by_stream(hint(1).encode())])
def test_a_store_that_is_away_fails_no_trigger_and_keeps_nobody_from_starting(
    configure: Configure,
    invocations: Invocations,
    caplog: pytest.LogCaptureFixture,
    trigger: Callable[[], None],
) -> None:
    configure(BIDE_REDIS_URL=dead_store())
    trigger()
    assert len(invocations.seen) == 1
    assert "the next tick makes up for this" in caplog.text


def test_settings_that_lack_something_fail_no_trigger_and_are_named(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    configure()
    monkeypatch.setenv("BIDE_DRAIN_FUNCTION", "")
    environment.settings.cache_clear()
    run_tick()
    assert "BIDE_DRAIN_FUNCTION is not set: BIDE_WAKE=invoke needs it" in caplog.text


def test_the_look_ends_when_time_is_up(
    configure: Configure, submit: Submit, invocations: Invocations, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure()
    submit("echo", value=1)
    monkeypatch.setattr(triggers, "_LOOK_S", -1.0)
    run_tick()
    assert invocations.seen == []


@pytest.mark.plain_tcp
def test_no_error_of_the_store_fails_a_trigger(configure: Configure, store_url: str) -> None:
    """A message that was refused would come again, and a record hold up its shard."""
    proxy = RefusingProxy(store_url)
    configure(BIDE_REDIS_URL=proxy.url)
    for said in (*REFUSALS, *FAULTS):
        proxy.refuse(said)
        run_tick()
        assert proxy.refused
    proxy.close()
