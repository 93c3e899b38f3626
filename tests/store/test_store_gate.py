"""Closing and opening: strict, whatever comes in between."""

from __future__ import annotations

from typing import Any

import pytest
from hand_clock import START_MS, HandClock
from slot_contents import Look
from submissions import Submit, submission

from bide import scripts
from bide.errors import Closed, StoreUnavailable, Unregistered
from bide.gate import Gate, Gatekeeper
from bide.store import Store


def _refuses(submit: Submit, queue: str = "default") -> bool:
    try:
        submit(queue=queue)
    except Closed:
        return True
    return False


def _register_first_half(store: Store, slot: str) -> Any:
    """What registering does before it copies the gate into the slot."""
    return store.script("register", store.keys.server(("state", "slots")), store.now_ms(), slot)


def _submit_raw(store: Store, slot: str) -> Any:
    """submit.lua's own answer, without the registering that Store.submit does upon UNREGISTERED."""
    script = scripts.load("submit")
    arguments = (store.now_ms(), b"i" * 16, b"spec", b"run", 0, "", b"", "", 0)
    return script.run(store.client, store.keys.slot(slot, script.keys), *arguments)


def test_a_slot_without_a_flag_refuses(store: Store, look: Look) -> None:
    assert _submit_raw(store, "unheard-of") == [b"UNREGISTERED"]
    assert look("unheard-of").runs == {}


def test_a_queue_registers_itself_at_its_first_submission(store: Store, submit: Submit, look: Look) -> None:
    id = submit(queue="vms")
    assert look("vms").places(id.key) == ["ready"]
    assert store.slots() == ("default", "vms")


def test_registering_twice_changes_nothing(store: Store, look: Look) -> None:
    before = look()
    store.register("default")
    assert look() == before
    assert store.slots() == ("default",)


def test_a_closed_server_refuses_with_reason_and_hint_and_writes_nothing(
    store: Store, gate: Gatekeeper, submit: Submit, look: Look
) -> None:
    gate.close("moving house", 120)
    before = look()
    with pytest.raises(Closed) as refusal:
        submit(idempotency_key="k", fingerprint=b"f" * 16, rate_limit=5)
    assert (refusal.value.reason, refusal.value.retry_after) == ("moving house", 120)
    assert look() == before


def test_closing_reaches_every_registered_queue(store: Store, gate: Gatekeeper, submit: Submit) -> None:
    queues = [f"q{n}" for n in range(5)]
    for queue in queues:
        submit(queue=queue)
    gate.close("x")
    assert all(_refuses(submit, queue) for queue in queues)


def test_a_queue_first_used_after_the_close_is_closed(gate: Gatekeeper, submit: Submit) -> None:
    gate.close("x")
    assert _refuses(submit, "late")


def test_opening_lets_submissions_in_again(gate: Gatekeeper, submit: Submit) -> None:
    submit(queue="vms")
    gate.close("x")
    assert gate.open().accepting
    assert not _refuses(submit)
    assert not _refuses(submit, "vms")


def test_a_server_that_was_never_told_is_open(store: Store) -> None:
    assert Gatekeeper(store).read().accepting


def test_the_gate_reads_as_it_was_set(gate: Gatekeeper, clock: HandClock) -> None:
    clock.pass_ms(9)
    closed = gate.close('ü "quoted"', 7)
    assert closed == gate.read() == Gate(False, 'ü "quoted"', 7, epoch=2, changed_ms=START_MS + 9)


def test_closing_twice_in_the_same_words_keeps_the_epoch(gate: Gatekeeper, clock: HandClock) -> None:
    first = gate.close("x", 5)
    clock.pass_ms(1)
    assert gate.close("x", 5) == first


def test_each_change_has_a_higher_epoch(gate: Gatekeeper) -> None:
    epochs = [gate.close("x").epoch, gate.close("y").epoch, gate.close("y", 5).epoch, gate.open().epoch]
    assert epochs == sorted(set(epochs))


def test_a_slot_ignores_an_older_epoch(store: Store, gate: Gatekeeper, submit: Submit, look: Look) -> None:
    """A close that was overtaken by an open does not undo it."""
    stale = gate.close("x").epoch
    newer = gate.open().epoch
    before = look()
    assert store.slot_script("apply_gate", "default", "0", "x", 0, stale) == newer
    assert look() == before
    assert not _refuses(submit)


def test_telling_a_slot_twice_changes_nothing(store: Store, gate: Gatekeeper, look: Look) -> None:
    epoch = gate.close("x").epoch
    before = look()
    assert store.slot_script("apply_gate", "default", "0", "x", 0, epoch) == epoch
    assert look() == before


def test_a_slot_that_registers_before_a_close_and_copies_after_it_stays_closed(
    store: Store, gate: Gatekeeper, submit: Submit
) -> None:
    accepting, reason, retry_after, epoch = _register_first_half(store, "new")
    assert accepting == b"1"
    closed = gate.close("x").epoch
    assert store.slot_script("apply_gate", "new", accepting, reason, retry_after, epoch) == closed
    assert _refuses(submit, "new")


def test_a_slot_that_registers_while_a_close_tells_the_others_is_closed(
    store: Store, gate: Gatekeeper, submit: Submit
) -> None:
    """The close has read the list of slots already, and will never tell this one."""
    epoch, slots = store.script("gate", store.keys.server(("state", "slots")), store.now_ms(), "0", "x", 0, 0)
    assert slots == [b"default"]
    assert _submit_raw(store, "new") == [b"UNREGISTERED"]
    assert _refuses(submit, "new")
    store.slot_script("apply_gate", "default", "0", "x", 0, epoch)
    assert _refuses(submit, "new")


def test_closing_is_strict_even_after_the_servers_own_record_was_lost(
    store: Store, gate: Gatekeeper, submit: Submit
) -> None:
    """Its epochs begin anew then, and the slots know higher ones."""
    gate.close("x")
    known = gate.open().epoch
    store.command("DEL", *store.keys.server(("state",)))
    assert gate.close("again").epoch > known
    assert _refuses(submit)
    assert gate.open().accepting
    assert not _refuses(submit)


def test_a_slot_between_registering_and_copying_accepts_nothing(store: Store, gate: Gatekeeper) -> None:
    _register_first_half(store, "new")
    assert _submit_raw(store, "new") == [b"UNREGISTERED"]


def test_a_slot_whose_registering_died_halfway_is_told_by_a_close(
    store: Store, gate: Gatekeeper, submit: Submit
) -> None:
    _register_first_half(store, "half")
    gate.close("x")
    assert _submit_raw(store, "half")[0] == b"CLOSED"


def test_a_close_that_the_store_fails_midway_names_the_queues_not_yet_told(
    store: Store, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    for queue in ("a", "b", "c"):
        submit(queue=queue)
    run = store.slot_script

    def failing(name: str, slot: str, *args: object) -> object:
        if name == "apply_gate" and slot == "b":
            raise StoreUnavailable("The store cannot be used: gone")
        return run(name, slot, *args)

    monkeypatch.setattr(store, "slot_script", failing)
    with pytest.raises(StoreUnavailable, match=r"not yet told: b, c, default\..*gone"):
        Gatekeeper(store).close("x")
    monkeypatch.undo()
    assert _refuses(submit, "a")
    Gatekeeper(store).close("x")
    assert all(_refuses(submit, queue) for queue in ("a", "b", "c", "default"))


def test_the_gate_of_a_store_that_refuses_to_register_says_so(store: Store) -> None:
    with pytest.raises(Unregistered):
        store.slot_script("submit", "new", store.now_ms(), b"i" * 16, b"", b"", 0, "", b"", "", 0)


def test_other_processes_are_bound_by_the_close(store: Store, gate: Gatekeeper) -> None:
    """A second Store, as another process would have it, that knew the gate as open."""
    other = Store(store.client, store.keys, store.clock)
    other.submit(submission())
    gate.close("x")
    with pytest.raises(Closed):
        other.submit(submission())
