"""How many tasks a queue has, in which state, and for how long the first of them has waited. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bide.state import State


@dataclass(frozen=True, slots=True)
class Depth:
    """One queue at one moment."""

    paused: bool
    """Whether it leases nothing."""
    tasks: Mapping[State, int]
    """How many are in each state."""
    oldest_ready_ms: int | None
    """For how long the task has waited that has been ready longest; None when none is."""

    @property
    def left(self) -> int:
        """Tasks that have not finished."""
        return sum(count for state, count in self.tasks.items() if not state.done)
