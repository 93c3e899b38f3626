"""The product's rule: `bide.autoscaler`, asked when the product asks it."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from bide import autoscaler
from bide.autoscaler import Limits, Seen
from bide.simulation.fleet import Fleet
from bide.simulation.placement import LongestListening
from bide.simulation.worker import Stage, Worker

BEAT_S: Final = 1.0
"""A worker makes an exchange at least that often."""
STARTING_S: Final = 10.0
"""How long a start is counted on."""


class Life(NamedTuple):
    """How long workers live, in seconds."""

    idle: float
    """What a worker without tasks lingers."""
    whole: float
    """How long a worker works before it hands over to a successor."""


class Product:
    """Workers start on demand, hand their tasks over when these fit elsewhere, and leave when idle.

    Without parking no task moves: a worker leaves when idle, or at the end of its life when its last
    task has ended.
    """

    first_tick_s = 0.0

    def __init__(self, limits: Limits, life: Life, *, parking: bool = True, tick_s: float = 60.0) -> None:
        self.tick_s = tick_s
        self._limits = limits
        self._life = life
        self._parking = parking

    def placement(self) -> LongestListening:
        return LongestListening()

    def on_ready(self, fleet: Fleet) -> None:
        """The doorbell."""
        fleet.start(autoscaler.missing(self._seen(fleet), self._limits))

    def on_tick(self, fleet: Fleet) -> None:
        fleet.start(autoscaler.decide(self._seen(fleet), self._limits).start)

    def on_exchange(self, fleet: Fleet, worker: Worker) -> None:
        if not worker.exchanged_at:
            fleet.call(fleet.now + self._life.whole, self._on_old, fleet, worker)
        worker.exchanged_at = fleet.now
        if not worker.load:
            fleet.call(fleet.now + self._life.idle, self._on_idle, fleet, worker, fleet.now)
        if self._parking and autoscaler.has_spare(self._seen(fleet), self._limits):
            self._ask(fleet, worker)

    def is_done(self, fleet: Fleet) -> bool:
        """Idle workers that may leave still do, and are billed until then."""
        return fleet.size <= self._limits.minimum

    def _seen(self, fleet: Fleet) -> Seen:
        since = fleet.now - STARTING_S
        starting = sum(worker.started_at > since for worker in fleet.starting.values())
        # What is being handed over has its places on the others already.
        return Seen(fleet.ready, len(fleet.awake), fleet.free - fleet.moving, starting)

    def _ask(self, fleet: Fleet, worker: Worker) -> None:
        """A worker at an exchange: is it spare? If it stays, the others ask at their next exchange."""
        if not self._leaves(fleet, worker):
            self._look_later(fleet, worker)
        for other in fleet.awake.values():
            self._look_later(fleet, other)

    def _leaves(self, fleet: Fleet, worker: Worker) -> bool:
        if worker.busy_until > fleet.now:
            return False  # a task that begins cannot be parked
        if not autoscaler.is_spare(worker.load, self._seen(fleet), self._limits):
            return False
        fleet.hand_over(worker)
        return True

    def _look_later(self, fleet: Fleet, worker: Worker) -> None:
        if worker.is_asked or worker.stage is not Stage.AWAKE:
            return
        worker.is_asked = True
        beats = math.floor((fleet.now - worker.exchanged_at) / BEAT_S) + 1
        at = worker.exchanged_at + beats * BEAT_S
        # Rounding may make of the beat to come the one that is now.
        fleet.call(at if at > fleet.now else at + BEAT_S, self._on_beat, fleet, worker)

    def _on_beat(self, fleet: Fleet, worker: Worker) -> None:
        worker.is_asked = False
        if worker.stage is Stage.AWAKE and autoscaler.has_spare(self._seen(fleet), self._limits):
            self._ask(fleet, worker)

    def _on_idle(self, fleet: Fleet, worker: Worker, since: float) -> None:
        if worker.stage is not Stage.AWAKE or worker.load or worker.exchanged_at != since:
            return
        if len(fleet.awake) > self._limits.minimum:
            fleet.drain(worker)

    def _on_old(self, fleet: Fleet, worker: Worker) -> None:
        if worker.stage is not Stage.AWAKE:
            return
        if worker.busy_until > fleet.now:
            fleet.call(worker.busy_until, self._on_old, fleet, worker)
            return
        load = worker.load
        if not self._parking:
            fleet.drain(worker)
            return
        fleet.hand_over(worker)
        if load or len(fleet.awake) + len(fleet.starting) < self._limits.minimum:
            fleet.start(1)
