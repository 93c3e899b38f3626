"""Rules that say how many workers they want, as those of other systems do."""

from __future__ import annotations

from abc import abstractmethod

from bide.simulation.fleet import Fleet, Rule
from bide.simulation.placement import FirstFit
from bide.simulation.worker import Worker


class Replicas(Rule):
    """Asked at each tick. Workers too many get no new task, and leave when their last one has ended.

    Tasks go to the oldest worker with room, which helps these rules: the youngest run dry.
    """

    tick_s = 60.0
    first_tick_s = 0.0
    wakes = False
    """Asked, too, when a task arrives and there is no worker at all."""
    rings = False
    """Asked, too, when a task arrives that has no place, nor will have on the workers that are starting."""
    newest_leave = True
    """Whether the youngest leave first, or else those with the fewest tasks."""

    @abstractmethod
    def wanted(self, fleet: Fleet, *, rung: bool) -> int:
        """Workers that take tasks, or will. rung: asked because of an arrival, not at a tick."""

    def placement(self) -> FirstFit:
        return FirstFit()

    def on_tick(self, fleet: Fleet) -> None:
        self._ask(fleet, rung=False)

    def on_ready(self, fleet: Fleet) -> None:
        lacking = fleet.ready > len(fleet.starting) * fleet.concurrency
        if (self.rings and lacking) or (self.wakes and not fleet.size):
            self._ask(fleet, rung=True)

    def on_exchange(self, fleet: Fleet, worker: Worker) -> None:
        pass

    def is_done(self, fleet: Fleet) -> bool:  # noqa: ARG002
        return True

    def _ask(self, fleet: Fleet, *, rung: bool) -> None:
        size = fleet.size
        wanted = max(0, self.wanted(fleet, rung=rung))
        if wanted > size:
            fleet.start(wanted - size)
        elif wanted < size:
            workers = sorted((*fleet.awake.values(), *fleet.starting.values()), key=self._leaving_order)
            for worker in workers[: size - wanted]:
                fleet.drain(worker)

    def _leaving_order(self, worker: Worker) -> tuple[int, int]:
        return (0 if self.newest_leave else worker.load, -worker.number)


def fitting(load: float, per_worker: float) -> int:
    """Workers that a load takes; what floats add to a whole number does not count."""
    return -int(-(load - 1e-9 * per_worker) // per_worker)
