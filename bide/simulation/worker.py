"""A simulated worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto


class Stage(Enum):
    """Of a worker's life."""

    STARTING = auto()
    """Billed, but not there yet."""
    AWAKE = auto()
    LEAVING = auto()
    """It takes no new task, and is gone when its last one has ended or been parked."""
    GONE = auto()


@dataclass(slots=True, eq=False)
class Worker:
    """Times are in seconds since the trace began."""

    number: int
    """In the order of starts."""
    started_at: float
    stage: Stage = Stage.STARTING
    tasks: set[int] = field(default_factory=set)
    """Those that hold its places."""
    busy_until: float = 0.0
    """It resumes tasks until then, one after the other; whatever it is given begins later."""
    is_offered: bool = False
    """Whether its room is on offer; see Placement."""
    exchanged_at: float = 0.0
    is_asked: bool = False
    """Whether its next look, for whether it is spare, is under way."""

    @property
    def load(self) -> int:
        """Places taken."""
        return len(self.tasks)
