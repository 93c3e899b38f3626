"""What tasks cost: added up in the task, and over all of them."""

from __future__ import annotations

from hand_clock import HandClock
from scripted_worker import Hire, ScriptedWorker, Takeover, deliver, park, settle, watch
from submissions import Submit

from bide.exchange import Usage
from bide.reads import Reads
from bide.records import Totals
from bide.store import Store

COST = Usage(billed_us=100, waited_ms=20, replays=1, polls=3, calls=0, active_ms=7)


def test_an_empty_store_has_cost_nothing(store: Store) -> None:
    assert Reads(store).totals() == Totals()


def test_the_ends_of_tasks_are_counted_once_each(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock
) -> None:
    for _ in range(6):
        submit()
    a, b, c, d, e, f = worker.lease()
    worker.exchange(
        settle(a, "succeeded"), settle(b, "succeeded"), settle(c, "failed"), settle(d, "cancelled"),
        settle(e, "retrying", delay_ms=10**6), settle(f, "ready"), settle(a, "failed"),
    )  # fmt: skip
    worker.repeat()
    store.cancel(e.id, "")
    store.cancel(e.id, "")
    submit(expires_ms=5)
    clock.pass_ms(5)
    store.tick("default", 0)
    assert Reads(store).totals() == Totals(succeeded=2, failed=1, cancelled=2, expired=1, starts=1)


def test_each_lease_adds_what_it_cost_to_its_task_and_to_the_totals(
    submit: Submit, worker: ScriptedWorker, store: Store
) -> None:
    id = submit()
    (again,) = worker.exchange(park(worker.lease_one(), delay_ms=0, usage=COST), capacity=1).leases
    worker.exchange(settle(again, "succeeded", usage=COST._replace(active_ms=12)))
    run = Reads(store).task(id, "").run
    assert (run.billed_us, run.waited_ms, run.replays, run.polls) == (200, 40, 2, 6)
    assert Reads(store).totals() == Totals(
        succeeded=1, billed_us=200, waited_ms=40, replays=2, polls=6, starts=1
    )


def test_a_lost_settle_and_a_repeated_one_cost_nothing(takeover: Takeover, store: Store) -> None:
    frozen, old, other, new = takeover
    frozen.exchange(settle(old, "succeeded", usage=COST))
    for _ in range(2):
        other.exchange(settle(new, "succeeded", usage=COST))
        other.repeat()
    assert Reads(store).totals().billed_us == 100


def test_a_round_of_a_poller_adds_its_calls_and_bill_and_no_polls_of_tasks(
    worker: ScriptedWorker, submit: Submit, store: Store
) -> None:
    id = submit()
    task = worker.lease_one()
    worker.exchange(park(task, "~1.1"), watch(b"p" * 16, "vms", "a"))
    (round_,) = worker.lease()
    answers = deliver(id.key, "~1.1", polls=2, billed_us=30)
    worker.exchange(answers, settle(round_, "polled", b"vms", delay_ms=5, usage=COST._replace(calls=1)))
    totals = Reads(store).totals()
    assert (totals.calls, totals.polls, totals.replays, totals.waited_ms) == (1, 2, 0, 0)
    assert totals.billed_us == COST.billed_us
    assert Reads(store).task(id, "").run.billed_us == 30


def test_the_time_that_workers_live_is_counted_once(worker: ScriptedWorker, hire: Hire, store: Store) -> None:
    worker.exchange(lived_ms=1_000)
    worker.repeat()
    worker.exchange(lived_ms=500)
    other = hire("other")
    other.exchange(lived_ms=10)
    worker.leave(lived_ms=5)
    worker.leave(lived_ms=5)
    assert Reads(store).totals().worker_ms == 1_515


def test_totals_are_over_all_queues(submit: Submit, hire: Hire, store: Store) -> None:
    for queue in ("default", "mail"):
        submit(queue=queue)
        worker = hire(f"of {queue}", slot=queue)
        worker.exchange(settle(worker.lease_one(), "succeeded", usage=COST))
    assert Reads(store).totals().succeeded == 2
    assert Reads(store).totals().billed_us == 200
