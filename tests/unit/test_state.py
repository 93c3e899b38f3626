"""States and the table of transitions."""

from __future__ import annotations

from bide.exchange import Settlement
from bide.state import TRANSITIONS, State


def test_the_table_covers_every_state() -> None:
    assert set(TRANSITIONS) == set(State)


def test_three_states_are_terminal() -> None:
    done = {State.SUCCEEDED, State.FAILED, State.CANCELLED}
    assert {state for state in State if state.done} == done
    assert all(TRANSITIONS[state] == frozenset() for state in done)


def test_only_a_lease_leads_to_running() -> None:
    assert [state for state in State if State.RUNNING in TRANSITIONS[state]] == [State.READY]


def test_every_unfinished_state_can_be_cancelled() -> None:
    assert all(State.CANCELLED in TRANSITIONS[state] for state in State if not state.done)


def test_no_state_leads_to_itself() -> None:
    assert all(state not in after for state, after in TRANSITIONS.items())


def test_every_settlement_is_a_way_out_of_running() -> None:
    assert {State(settlement) for settlement in Settlement} == TRANSITIONS[State.RUNNING]


def test_a_terminal_state_can_be_reached_from_every_other() -> None:
    for state in State:
        reached, frontier = {state}, [state]
        while frontier:
            for after in TRANSITIONS[frontier.pop()] - reached:
                reached.add(after)
                frontier.append(after)
        assert any(end.done for end in reached)
