"""A paused queue: it accepts and keeps, leases nothing, and asks nobody to come."""

from __future__ import annotations

import pytest
from hand_clock import START_MS, HandClock
from scripted_worker import LEASE_MS, Hire, ScriptedWorker, exits, park, settle, watch
from slot_contents import Look
from submissions import Submit, submission

from bide.autoscaler import Reason, Seen
from bide.gate import Gatekeeper
from bide.reads import Reads
from bide.replies import Need
from bide.state import State
from bide.store import Store

AWAKE_MS = 30_000


@pytest.fixture
def paused(store: Store) -> Store:
    store.pause("default", True)
    return store


def test_a_paused_queue_accepts_and_leases_nothing(paused: Store, worker: ScriptedWorker) -> None:
    accepted = paused.submit(submission())
    assert not accepted.seen
    assert worker.lease() == ()
    assert Reads(paused).task(accepted.id, "").run.state == State.READY


def test_when_it_is_resumed_the_tasks_come_in_the_order_they_were_submitted(
    paused: Store, submit: Submit, worker: ScriptedWorker
) -> None:
    ids = [submit() for _ in range(3)]
    assert worker.lease() == ()
    paused.pause("default", False)
    assert [lease.id for lease in worker.lease()] == ids


def test_the_flag_is_in_the_store(paused: Store, look: Look) -> None:
    assert look().meta["paused"] == b"1"
    paused.pause("default", False)
    assert "paused" not in look().meta


def test_pausing_twice_is_pausing_once(paused: Store, submit: Submit, look: Look) -> None:
    submit()
    paused.pause("default", True)
    before = look()
    paused.pause("default", True)
    assert look() == before


def test_a_queue_that_nobody_has_used_can_be_paused(store: Store, hire: Hire) -> None:
    store.pause("vms", True)
    store.submit(submission(queue="vms"))
    assert hire(slot="vms").lease() == ()


def test_only_the_queue_that_was_named_is_paused(paused: Store, hire: Hire) -> None:
    paused.submit(submission(queue="vms"))
    assert len(hire(slot="vms").lease()) == 1


def test_closing_and_opening_the_server_leaves_it_paused(
    paused: Store, gate: Gatekeeper, worker: ScriptedWorker
) -> None:
    gate.close("x")
    gate.open()
    paused.submit(submission())
    assert worker.lease() == ()


# --- what runs goes on ----------------------------------------------------------------------


def test_a_running_task_goes_on_and_ends(store: Store, submit: Submit, worker: ScriptedWorker) -> None:
    id = submit()
    lease = worker.lease_one()
    store.pause("default", True)
    assert worker.heartbeat(lease) == ((), ())
    assert worker.exchange(settle(lease, "succeeded", b"1"), capacity=5).lost == ()
    assert Reads(store).task(id, "").run.state == State.SUCCEEDED


def test_an_exchange_is_answered_again_alike_although_the_queue_was_paused_since(
    store: Store, submit: Submit, worker: ScriptedWorker
) -> None:
    submit()
    first = worker.exchange(capacity=1)
    store.pause("default", True)
    assert [lease.id for lease in worker.repeat().leases] == [lease.id for lease in first.leases]


def test_what_comes_due_becomes_ready_and_stays(
    paused: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock, look: Look
) -> None:
    id = submit(delay_ms=500)
    clock.pass_ms(500)
    assert paused.tick("default", 0).promoted == 1
    assert worker.lease() == ()
    assert id.key in look().ready


def test_a_parked_task_becomes_ready_with_its_event_and_stays(
    store: Store, submit: Submit, worker: ScriptedWorker
) -> None:
    id = submit()
    worker.exchange(park(worker.lease_one(), "go"))
    worker.leave(forced=True)
    store.pause("default", True)
    assert store.send_event(id, "", "go", b"1").need == Need()
    assert Reads(store).task(id, "").run.state == State.READY


def test_tasks_of_a_silent_worker_are_taken_from_it_and_stay(
    store: Store, submit: Submit, hire: Hire, clock: HandClock, look: Look
) -> None:
    id = submit(max_attempts=3)
    hire("silent").lease_one()
    store.pause("default", True)
    clock.pass_ms(LEASE_MS)
    assert store.tick("default", 0).reaped == 1
    assert id.key in look().ready
    assert hire("other").lease() == ()


def test_the_last_attempt_of_a_task_is_not_leased_either(
    store: Store, submit: Submit, hire: Hire, clock: HandClock, look: Look
) -> None:
    id = submit(max_attempts=2)
    hire("silent").lease_one()
    clock.pass_ms(LEASE_MS)
    store.tick("default", 0)
    assert id.key in look().isolated
    store.pause("default", True)
    assert hire("other").lease() == ()
    store.pause("default", False)
    assert hire("third").lease_one().isolated


def test_a_tasks_time_runs_on(paused: Store, submit: Submit, clock: HandClock) -> None:
    expiring, overdue = submit(expires_ms=500), submit(deadline_ms=500)
    clock.pass_ms(500)
    paused.tick("default", 0)
    assert Reads(paused).task(expiring, "").run.state == State.EXPIRED
    assert Reads(paused).task(overdue, "").run.state == State.FAILED


def test_a_parked_task_that_cleans_up_is_cancelled_once_its_queue_is_resumed(
    store: Store, submit: Submit, worker: ScriptedWorker
) -> None:
    id = submit()
    lease = worker.lease_one()
    worker.exchange(exits(lease), park(lease, "go"))
    worker.leave(forced=True)
    store.pause("default", True)
    cancelled = store.cancel(id, "")
    assert (cancelled.now, cancelled.need) == (False, Need())
    assert store.pause("default", False).workers == 1
    assert worker.lease_one().run.ending == "cancelled"


def test_it_can_be_cancelled(paused: Store, submit: Submit) -> None:
    id = submit()
    assert paused.cancel(id, "").now


def test_a_poller_makes_no_round(store: Store, worker: ScriptedWorker, clock: HandClock) -> None:
    home = bytes(6) + b"p" * 10
    worker.exchange(watch(home, "vms", "a"))
    store.pause("default", True)
    clock.pass_ms(60_000)
    store.tick("default", 0)
    assert worker.lease() == ()
    store.pause("default", False)
    assert worker.lease_one().is_poller


# --- nobody comes for it --------------------------------------------------------------------


def test_nobody_is_started_for_a_submission(paused: Store) -> None:
    assert [paused.submit(submission()).need for _ in range(3)] == [Need()] * 3


def test_nor_for_one_that_is_sent_again(paused: Store) -> None:
    keyed = submission(idempotency_key="k", fingerprint=b"f" * 16)
    paused.submit(keyed)
    again = paused.submit(keyed)
    assert (again.seen, again.need) == (True, Need())


def test_nor_when_whoever_was_awake_has_left(paused: Store, worker: ScriptedWorker, clock: HandClock) -> None:
    worker.exchange(free=3)
    worker.leave(forced=True)
    clock.pass_ms(AWAKE_MS + 1)
    assert paused.submit(submission()).need == Need()


def test_no_submission_asks_the_fleet(paused: Store, worker: ScriptedWorker, clock: HandClock) -> None:
    """They are covered, whatever becomes of the workers and however late it is."""
    for change in (
        lambda: worker.exchange(free=3),
        lambda: paused.tick("default", 0),
        lambda: paused.note_starts("default", Reason.MINIMUM, 1, paused.begin_turn()),
        lambda: worker.leave(forced=True),
        lambda: clock.pass_ms(10**9),
    ):
        change()
        meta = paused.fields(paused.keys.slot("default", ("meta",))[0])
        assert int(meta[b"covered_ms"]) > clock.ms
        assert int(meta[b"covered"]) > int(meta.get(b"seq", 0)) + 10**6
        assert paused.submit(submission()).need == Need()


def test_no_alarm_is_set_for_what_will_be_due(
    paused: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock
) -> None:
    assert paused.submit(submission(delay_ms=5_000)).need == Need()
    worker.exchange()
    assert worker.leave() == Need()
    upkeep = paused.tick("default", 0)
    assert (upkeep.next_due_ms, upkeep.alarm_ms) == (-1, 0)


def test_the_tick_sees_nothing_that_lacks_a_worker(paused: Store, submit: Submit) -> None:
    submit()
    assert paused.tick("default", 0).seen == Seen(ready=0, awake=0, free=0, starting=0)


def test_nobody_is_rung(
    paused: Store, submit: Submit, worker: ScriptedWorker, hire: Hire, clock: HandClock, look: Look
) -> None:
    worker.exchange(capacity=5, listen_ms=60_000)
    assert look().listeners, "it will hear when the queue is resumed"
    submit()
    submit(delay_ms=5)
    clock.pass_ms(5)
    paused.tick("default", 0)
    hire("busy").exchange()
    assert look().bell == 0
    paused.pause("default", False)
    assert look().bell == 1


def test_a_worker_is_told_of_nothing_to_come_back_for(
    paused: Store, submit: Submit, worker: ScriptedWorker
) -> None:
    submit()
    submit(delay_ms=500)
    reply = worker.exchange(capacity=5)
    assert (reply.ready, reply.seen.ready, reply.workers) == (0, 0, 0)
    assert (reply.next_due_ms, reply.due_ms) == (None, None)


def test_a_worker_may_leave(paused: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock) -> None:
    submit()
    submit(delay_ms=500)
    worker.exchange()
    assert worker.leave(window_ms=2_000) == Need()


def test_a_worker_whose_time_is_up_needs_no_successor_for_it(paused: Store, submit: Submit) -> None:
    submit()
    assert paused.note_starts("default", Reason.SUCCESSOR, 1) == 0


# --- resuming -------------------------------------------------------------------------------


def test_resuming_starts_what_the_tasks_need(paused: Store, submit: Submit) -> None:
    for _ in range(201):
        submit()
    assert paused.pause("default", False) == Need(workers=3)
    assert paused.tick("default", 0).seen == Seen(ready=201, awake=0, free=0, starting=3)


def test_resuming_again_starts_nobody_twice(paused: Store, submit: Submit) -> None:
    submit()
    assert paused.pause("default", False).workers == 1
    assert paused.pause("default", False).workers == 0


def test_resuming_an_empty_queue_needs_nobody(paused: Store) -> None:
    assert paused.pause("default", False) == Need()


def test_resuming_sets_the_alarm_that_was_not_set(paused: Store, submit: Submit) -> None:
    submit(delay_ms=5_000)
    assert paused.pause("default", False) == Need(alarm_ms=START_MS + 5_000)


def test_what_came_due_meanwhile_is_an_alarm_for_at_once(
    paused: Store, submit: Submit, clock: HandClock
) -> None:
    submit(delay_ms=500)
    clock.pass_ms(5_000)
    assert paused.pause("default", False).alarm_ms == START_MS + 500


@pytest.mark.parametrize("passed_ms", [0, 5_000], ids=["not yet due", "due"])
def test_resuming_rings_for_what_is_not_ready_yet(
    paused: Store, submit: Submit, worker: ScriptedWorker, clock: HandClock, look: Look, passed_ms: int
) -> None:
    """Whoever listens was told of nothing to come back for."""
    worker.exchange(capacity=5, listen_ms=AWAKE_MS)
    submit(delay_ms=5_000)
    clock.pass_ms(passed_ms)
    paused.pause("default", False)
    assert look().bell == 1


def test_submissions_after_it_are_looked_after_as_before(paused: Store, submit: Submit) -> None:
    paused.pause("default", False)
    assert paused.submit(submission()).need == Need(workers=1)


def test_the_decision_says_why(paused: Store, submit: Submit) -> None:
    submit()
    paused.pause("default", False)
    (decided,) = Reads(paused).fleet("default").decisions
    assert (decided.reason, decided.workers, decided.ready) == ("resumed", 1, 1)
