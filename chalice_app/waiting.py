"""`Prefer: wait`: holds a request until its task is done."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from bide.errors import StoreError
from bide.ids import TaskId
from bide.records import TaskView
from bide.state import State
from chalice_app.services import Services

FIRST_PAUSE: Final = 0.005
LONGEST_PAUSE: Final = 0.25
"""Seconds between two looks at the task; each pause is a quarter longer than the one before."""

_GROWTH: Final = 1.25
_SPARE_SECONDS: Final = 1.0
"""Left of the Lambda function's time, for answering."""
_STALE_SECONDS: Final = 5
"""A place whose holder died is free again this long after its wait would have ended."""


class LambdaContext(Protocol):
    """What of Lambda's context object is needed here."""

    def get_remaining_time_in_millis(self) -> float: ...


class Waited(NamedTuple):
    """The task as last seen, and whether the preference was honoured."""

    view: TaskView
    honoured: bool


def wait_until_done(
    services: Services,
    view: TaskView,
    id: TaskId,
    seconds: int,
    context: LambdaContext | None,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Waited:
    """Look at the task again and again for up to `seconds`, if that may help.

    It does not when the task is done, or due to start only later; nor is it allowed when as many
    requests as `BIDE_WAIT_SLOTS` are held, over all processes. A store that fails meanwhile
    ends the wait: what is known by then is still an answer. Raises TaskNotFound.
    """
    left = float(seconds)
    if context is not None:
        left = min(left, context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS)
    if left <= 0 or view.run.state.done:
        return Waited(view, view.run.state.done)
    holder = secrets.token_hex(8)
    try:
        # A parked task is due at its timeout at the latest; an event or a poll may end its wait before.
        is_parked = view.run.state is State.WAITING
        if not is_parked and view.run.due_ms > services.store.now_ms() + left * 1000:
            return Waited(view, honoured=False)
        hold_ms = int((left + _STALE_SECONDS) * 1000)
        held = services.store.hold(holder, hold_ms, services.settings.wait_slots)
    except StoreError:
        return Waited(view, honoured=False)
    if not held:
        return Waited(view, honoured=False)
    try:
        pause, deadline = FIRST_PAUSE, monotonic() + left
        while (left := deadline - monotonic()) > 0:
            sleep(min(pause, left))
            pause = min(pause * _GROWTH, LONGEST_PAUSE)
            view = services.reads.task(id, view.spec.tenant)
            if view.run.state.done:
                break
    except StoreError:
        pass  # what is known by now is still an answer
    finally:
        with contextlib.suppress(StoreError):  # the place frees itself
            services.store.release_hold(holder)
    return Waited(view, honoured=True)
