"""Each limit of time, and a cancel, against whatever a task may be at: one table."""

from __future__ import annotations

from typing import Final

import pytest
from ending_tasks import KINDS, LIMITS, LONG_S
from stage import Stage, await_that

from bide.ids import TaskId
from bide.state import State

KIND_NAMES: Final = tuple(kind.__name__ for kind in KINDS)
GOES_ON: Final = None
"""The limit is none of what the task is at: it stays there."""

ENDS: Final[dict[str, dict[str, tuple[State, str] | None]]] = {
    "timeout": dict.fromkeys(KIND_NAMES, (State.FAILED, "TIMEOUT"))
    | dict.fromkeys(("parked", "retrying", "ready"), GOES_ON),
    "deadline": dict.fromkeys(KIND_NAMES, (State.FAILED, "DEADLINE_EXCEEDED")),
    "expires": dict.fromkeys(KIND_NAMES, GOES_ON) | {"ready": (State.EXPIRED, "")},
    # A thread cannot be ended: a cancel waits for its next check, or for its end.
    "cancel": dict.fromkeys(KIND_NAMES, (State.CANCELLED, "")) | {"plain": GOES_ON},
}
"""By limit and kind: state and code."""

AT: Final = {"parked": State.WAITING, "retrying": State.RETRYING, "ready": State.READY}
"""Where a task of a kind is unless a limit ends it; the others run."""

SOON_MS: Final = LONG_S * 1000 / 2
"""Well before it would have ended by itself."""


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_ends_what_it_is_a_limit_of(stage: Stage, limit: str) -> None:
    stage.store.register("other")
    stage.store.pause("other", True)
    stage.start_worker(hot_wait_seconds=0.0)
    ids = {kind: _submit(stage, kind, limit) for kind in KIND_NAMES}
    if limit == "cancel":
        for kind, id in ids.items():
            await_that(lambda kind=kind: kind == "ready" or stage.effects(kind))  # type: ignore[misc]
            if kind in AT:
                stage.until(id, AT[kind])
            stage.store.cancel(id, "default")
    for kind, expected in ENDS[limit].items():
        if expected is not GOES_ON:
            _await_end(stage, ids[kind])
            run = stage.view(ids[kind]).run
            code = stage.outcome(ids[kind])["code"] if run.state is State.FAILED else ""
            assert (kind, run.state, code) == (kind, *expected)
            assert run.finished_ms - ids[kind].submitted_ms < SOON_MS, kind
    if limit in ("timeout", "expires"):  # by now it is over for all of them
        other = stage.submit(f"code.{'timeout'}", name="other")
        _await_end(stage, other)
    for kind, expected in ENDS[limit].items():
        if expected is GOES_ON:
            assert (kind, stage.state(ids[kind])) == (kind, AT.get(kind, State.RUNNING))


def _submit(stage: Stage, kind: str, limit: str) -> TaskId:
    """Of kind `ready` in a queue that is paused."""
    return stage.submit(f"{kind}.{limit}", queue="other" if kind == "ready" else None, name=kind)


def _await_end(stage: Stage, id: TaskId) -> None:
    def has_ended() -> bool:
        stage.store.tick("other", 0)
        return stage.state(id).done

    await_that(has_ended)


def test_a_plain_function_keeps_its_place_beyond_its_deadline_until_it_returns(stage: Stage) -> None:
    stage.start_worker(concurrency=1)
    id = stage.submit("plain.deadline", name="p")
    other = stage.submit("succeed", name="o")
    assert stage.until(id).run.state is State.FAILED
    assert stage.state(other) is State.READY
