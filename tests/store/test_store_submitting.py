"""lua/submit.lua: accepting a task, once."""

from __future__ import annotations

import pytest
from hand_clock import START_MS, HandClock
from slot_contents import Look
from submissions import Submit, submission

from bide.errors import IdempotencyConflict, RateLimited
from bide.gate import Gatekeeper
from bide.records import Run, Spec
from bide.state import State
from bide.store import Store

A, B = b"a" * 16, b"b" * 16
"""Fingerprints of two requests."""


def test_a_submission_stands_in_specs_the_log_and_ready(submit: Submit, look: Look) -> None:
    id = submit(tenant="acme", max_attempts=5, retention_ms=7)
    slot = look()
    assert slot.specs == {id.key: Spec("echo", "acme", max_attempts=5, retention_ms=7, args='{"value":1}')}
    assert slot.runs == {id.key: Run(State.READY, max_attempts=5, retention_ms=7, since_ms=START_MS)}
    assert slot.log == [id.key]
    assert slot.ready == {id.key: 1}
    assert slot.places(id.key) == ["ready"]


@pytest.mark.parametrize("when", [{"delay_ms": 500}, {"run_at_ms": START_MS + 500}])
def test_a_delayed_submission_waits_in_due(submit: Submit, look: Look, when: dict[str, int]) -> None:
    id = submit(**when)
    slot = look()
    assert slot.due == {id.key: START_MS + 500}
    assert slot.runs[id.key].state == State.SCHEDULED
    assert slot.runs[id.key].due_ms == slot.specs[id.key].run_at_ms == START_MS + 500
    assert slot.places(id.key) == ["due"]


@pytest.mark.parametrize("run_at_ms", [1, START_MS - 1, START_MS])
def test_a_time_that_has_passed_is_now(submit: Submit, look: Look, run_at_ms: int) -> None:
    id = submit(run_at_ms=run_at_ms)
    assert look().places(id.key) == ["ready"]


def test_tasks_become_ready_in_the_order_of_their_submission(submit: Submit, look: Look) -> None:
    ids = [submit() for _ in range(5)]
    assert list(look().ready) == [id.key for id in ids]


def test_an_id_tells_the_time_of_its_submission(submit: Submit, clock: HandClock) -> None:
    clock.pass_ms(1_234)
    assert submit().submitted_ms == START_MS + 1_234


@pytest.mark.parametrize("rate_limit", [0, 100])
@pytest.mark.parametrize("delay_ms", [0, 500])
@pytest.mark.parametrize("idempotency_key", ["", "order-7"])
def test_the_same_call_again_answers_with_the_same_id_and_changes_nothing(
    store: Store, look: Look, delay_ms: int, idempotency_key: str, rate_limit: int
) -> None:
    store = Store(store.client, store.keys, store.clock, random_bytes=lambda n: b"r" * n)
    request = submission(delay_ms=delay_ms, idempotency_key=idempotency_key, fingerprint=A)
    first = store.submit(request, rate_limit=rate_limit)
    after = look()
    second = store.submit(request, rate_limit=rate_limit)
    assert (first.seen, second.seen) == (False, True)
    assert second.id == first.id
    assert look() == after


def test_the_same_call_again_is_answered_also_when_the_server_has_closed(
    store: Store, gate: Gatekeeper, look: Look
) -> None:
    store = Store(store.client, store.keys, store.clock, random_bytes=lambda n: b"r" * n)
    first = store.submit(submission())
    gate.close("moving house")
    after = look()
    assert store.submit(submission()) == first._replace(seen=True, view=None)
    assert look() == after


# --- Idempotency-Key ----------------------------------------------------------------------


def test_a_key_seen_before_answers_with_the_first_id(submit: Submit, look: Look, clock: HandClock) -> None:
    first = submit(idempotency_key="k", fingerprint=A)
    clock.pass_ms(1_000)
    assert submit(idempotency_key="k", fingerprint=A) == first
    assert list(look().runs) == [first.key]


def test_a_key_with_another_request_is_a_conflict_and_writes_nothing(submit: Submit, look: Look) -> None:
    submit(idempotency_key="k", fingerprint=A)
    before = look()
    with pytest.raises(IdempotencyConflict):
        submit(idempotency_key="k", fingerprint=B)
    assert look() == before


def test_another_tenant_may_use_the_same_key(submit: Submit, look: Look) -> None:
    submit(tenant="acme", idempotency_key="k", fingerprint=A)
    submit(tenant="zeta", idempotency_key="k", fingerprint=B)
    assert set(look().idempotency) == {b"acme\0k", b"zeta\0k"}


def test_a_tenant_and_a_key_cannot_be_spelled_as_another_pair(submit: Submit, look: Look) -> None:
    submit(tenant="a", idempotency_key="bk", fingerprint=A)
    submit(tenant="ab", idempotency_key="k", fingerprint=B)
    assert len(look().runs) == 2


def test_the_same_key_in_another_queue_is_another_task(store: Store, submit: Submit, look: Look) -> None:
    first = submit(idempotency_key="k", fingerprint=A)
    second = submit(queue="vms", idempotency_key="k", fingerprint=B)
    assert list(look("default").runs) == [first.key]
    assert list(look("vms").runs) == [second.key]


def test_a_key_is_answered_also_when_the_server_has_closed(submit: Submit, gate: Gatekeeper) -> None:
    first = submit(idempotency_key="k", fingerprint=A)
    gate.close("moving house")
    assert submit(idempotency_key="k", fingerprint=A) == first


def test_a_key_is_answered_also_above_the_rate_limit(submit: Submit) -> None:
    first = submit(idempotency_key="k", fingerprint=A, rate_limit=1)
    with pytest.raises(RateLimited):
        submit(rate_limit=1)
    assert submit(idempotency_key="k", fingerprint=A, rate_limit=1) == first


def test_a_key_is_forgotten_with_its_task(submit: Submit, store: Store, clock: HandClock, look: Look) -> None:
    first = submit(idempotency_key="k", fingerprint=A, retention_ms=1_000)
    store.cancel(first, "")
    clock.pass_ms(1_000)
    store.tick("default", 0)
    assert look().idempotency == {}
    assert submit(idempotency_key="k", fingerprint=B) != first


# --- rate limit ---------------------------------------------------------------------------


def _accepted(submit: Submit, limit: int, tenant: str = "") -> int:
    """Submissions that get through before the first refusal."""
    for count in range(1_000):
        try:
            submit(rate_limit=limit, tenant=tenant)
        except RateLimited:
            return count
    raise AssertionError("no limit at all")


@pytest.mark.parametrize("limit", [1, 3, 7, 50])
def test_a_burst_is_one_second_of_submissions(submit: Submit, limit: int) -> None:
    assert _accepted(submit, limit) == limit


@pytest.mark.parametrize(("passed_ms", "more"), [(99, 0), (100, 1), (550, 5), (60_000, 10)])
def test_the_burst_refills_with_time_and_no_further_than_full(
    submit: Submit, clock: HandClock, passed_ms: int, more: int
) -> None:
    assert _accepted(submit, 10) == 10
    clock.pass_ms(passed_ms)
    assert _accepted(submit, 10) == more


def test_who_waits_as_long_as_the_refusal_says_gets_through(submit: Submit, clock: HandClock) -> None:
    assert _accepted(submit, 3) == 3
    with pytest.raises(RateLimited) as refusal:
        submit(rate_limit=3)
    assert refusal.value.retry_after_ms == 334
    clock.pass_ms(333)
    with pytest.raises(RateLimited):
        submit(rate_limit=3)
    clock.pass_ms(1)
    submit(rate_limit=3)


def test_what_is_left_of_the_burst_is_told(store: Store) -> None:
    left = [store.submit(submission(), rate_limit=4).burst_left for _ in range(4)]
    assert left == [3, 2, 1, 0]
    assert store.submit(submission()).burst_left is None


def test_a_clock_that_was_ahead_and_is_set_back_refuses_nobody_until_it_is_there_again(
    submit: Submit, clock: HandClock
) -> None:
    assert _accepted(submit, 2) == 2
    clock.pass_ms(-3_600_000)
    assert _accepted(submit, 2) == 2
    clock.pass_ms(500)
    assert _accepted(submit, 2) == 1


def test_tenants_have_a_rate_each(submit: Submit) -> None:
    assert _accepted(submit, 2, "acme") == 2
    assert _accepted(submit, 2, "zeta") == 2


def test_a_refused_submission_writes_nothing(submit: Submit, look: Look) -> None:
    _accepted(submit, 2)
    before = look()
    with pytest.raises(RateLimited):
        submit(rate_limit=2, idempotency_key="k", fingerprint=A)
    assert look() == before


def test_a_repeated_call_is_not_charged(store: Store) -> None:
    numbers = iter(b"aaabc")
    store = Store(store.client, store.keys, store.clock, random_bytes=lambda n: bytes([next(numbers)]) * n)
    accepted = [store.submit(submission(), rate_limit=3) for _ in range(5)]
    assert [each.seen for each in accepted] == [False, True, True, False, False]
    assert accepted[-1].burst_left == 0
