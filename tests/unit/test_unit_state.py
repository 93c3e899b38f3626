"""The table of states, and the page that shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bide.state import TRANSITIONS, State

PAGE = (Path(__file__).parents[2] / "docs" / "state-machine.md").read_text(encoding="utf-8")
TERMINAL = {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED}


def table_of_the_page() -> dict[str, set[str]]:
    table = PAGE.split("| from | to |")[1].split("\n\n")[0]
    rows = [row.strip("| ").split(" | ") for row in table.splitlines() if re.match(r"\| [a-z]", row)]
    return {
        state: set() if "terminal" in to else set(to.split(", "))
        for states, to in rows
        for state in states.split(", ")
    }


def arrows_of_the_diagram() -> set[tuple[str, str]]:
    diagram = PAGE.split("```mermaid")[1].split("```")[0]
    return set(re.findall(r"(\S+) --> (\S+):", diagram))


def test_every_state_has_its_row() -> None:
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize("state", State)
def test_a_state_is_done_exactly_when_nothing_follows_but_a_retry(state: State) -> None:
    assert state.done is (state in TERMINAL)
    retried = {State.READY, State.SCHEDULED} if state is State.FAILED else set()
    assert not state.done or TRANSITIONS[state] == retried


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_reached_from_a_submission_and_can_end(state: State) -> None:
    def beyond(start: State) -> set[State]:
        found, todo = {start}, [start]
        while todo:
            for following in TRANSITIONS[todo.pop()] - found:
                found.add(following)
                todo.append(following)
        return found

    assert state in beyond(State.READY) | beyond(State.SCHEDULED)
    assert TERMINAL & beyond(state)
    assert (state.done and state is not State.FAILED) or beyond(state) >= TERMINAL - {State.EXPIRED}


def test_a_task_succeeds_only_by_running() -> None:
    assert [state for state, to in TRANSITIONS.items() if State.SUCCEEDED in to] == [State.RUNNING]


def test_every_unfinished_task_can_fail_at_its_deadline() -> None:
    assert all(State.FAILED in TRANSITIONS[state] for state in State if not state.done)


def test_only_what_has_not_started_can_expire() -> None:
    expiring = {state for state, to in TRANSITIONS.items() if State.EXPIRED in to}
    assert expiring == {State.SCHEDULED, State.READY}


def test_every_unfinished_task_can_be_cancelled() -> None:
    assert all(State.CANCELLED in TRANSITIONS[state] for state in State if not state.done)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[State.FAILED] = frozenset({State.READY})  # type: ignore[index]


def test_the_page_shows_the_same_table() -> None:
    assert table_of_the_page() == {str(state): {str(to) for to in tos} for state, tos in TRANSITIONS.items()}


def test_the_diagram_shows_the_same_arrows() -> None:
    changes = {(str(state), str(to)) for state, tos in TRANSITIONS.items() for to in tos}
    births = {("[*]", "scheduled"), ("[*]", "ready")}
    ends = {(str(state), "[*]") for state in TERMINAL}
    assert arrows_of_the_diagram() == changes | births | ends
