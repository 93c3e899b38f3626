"""EC2 as it behaves, on top of moto's: instances take their time to start, and some never do.

moto's own instances run at once, and each RunInstances makes new ones whatever its
ClientToken says.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.instances import Instance, InstanceState, Reservation, StateReason

PENDING: Final = ("pending", 0)
RUNNING: Final = ("running", 16)
TERMINATED: Final = ("terminated", 48)

INTERNAL_ERROR: Final = StateReason("Server.InternalError: Internal error on launch", "Server.InternalError")
"""What AWS gives for an instance that could not be launched."""

_NO_TOKEN: Final = "ABCDE"
"""What moto puts where a request has no ClientToken."""


@dataclass(frozen=True)
class Fate:
    """What comes of one instance: `pending` seconds, then it runs, or fails."""

    pending: float
    fails: bool


@dataclass(frozen=True)
class Fates:
    """The fate of every instance, by the order in which they were asked for: 0, 1, 2 ...

    Pending for `shortest` to `longest` seconds; the last of every `failing_every` fails
    (0: none does). The same `seed` gives the same fates.
    """

    shortest: float = 10.0
    longest: float = 20.0
    failing_every: int = 50
    seed: int = 1

    def of(self, index: int) -> Fate:
        draw = random.Random(f"{self.seed}/{index}").random()
        fails = self.failing_every > 0 and index % self.failing_every == self.failing_every - 1
        return Fate(self.shortest + (self.longest - self.shortest) * draw, fails)


@dataclass
class Launch:
    """One instance on its way."""

    instance: Instance
    fate: Fate
    due: float
    """When its pending ends, on the clock."""


class Launches:
    """Everything that was started. Thread-safe: one call at a time."""

    def __init__(self, fates: Fates, clock: Callable[[], float] = time.monotonic) -> None:
        self.lock = threading.RLock()
        self._fates = fates
        self._clock = clock
        self._launches: dict[str, Launch] = {}
        self._by_token: dict[str, Reservation] = {}

    def started(self, token: str) -> Reservation | None:
        """What was started with this ClientToken before."""
        return self._by_token.get(token)

    def begin(self, token: str, reservation: Reservation) -> None:
        """New instances: pending, each with its fate."""
        if token != _NO_TOKEN:
            self._by_token[token] = reservation
        for instance in reservation.instances:
            fate = self._fates.of(len(self._launches))
            self._launches[instance.id] = Launch(instance, fate, self._clock() + fate.pending)
            instance._state = InstanceState(*PENDING)

    def find(self, ids: Iterable[str]) -> list[Instance] | None:
        """The instances of these ids, as they are now; None when one of them is unknown."""
        found = [self._launches.get(id) for id in ids]
        return None if None in found else [self._now(launch) for launch in found if launch is not None]

    def refresh(self) -> list[Instance]:
        """All instances, as they are now."""
        return [self._now(launch) for launch in self._launches.values()]

    def _now(self, launch: Launch) -> Instance:
        instance = launch.instance
        if instance.state == "pending" and self._clock() >= launch.due:
            if launch.fate.fails:
                instance._state = InstanceState(*TERMINATED)
                instance._reason = "Server.InternalError"
                instance.state_reason = INTERNAL_ERROR
            else:
                instance._state = InstanceState(*RUNNING)
        return instance


def install(launches: Launches) -> None:
    """Make every EC2 backend of this process behave so. Call it before the first is used."""

    class SlowEC2Backend(EC2Backend):
        __module__ = EC2Backend.__module__  # by which moto finds a backend's URLs

        def run_instances(self, image_id: str, count: int, *args: Any, **kwargs: Any) -> Reservation:
            token = kwargs.get("client_token", _NO_TOKEN)
            with launches.lock:
                if (before := launches.started(token)) is not None:
                    launches.find(instance.id for instance in before.instances)
                    return before
                reservation = super().run_instances(image_id, count, *args, **kwargs)
                launches.begin(token, reservation)
                return reservation

        def get_reservations_by_instance_ids(
            self, instance_ids: list[str], filters: Any = None
        ) -> list[Reservation]:
            # moto looks at every reservation for every id.
            with launches.lock:
                instances = launches.find(instance_ids)
                if instances is None or filters:
                    return super().get_reservations_by_instance_ids(instance_ids, filters)
                reservation = Reservation("r-00000000", self.account_id)
                reservation.instances = instances
                return [reservation]

        def all_reservations(self, filters: Any = None) -> list[Reservation]:
            with launches.lock:
                launches.refresh()
                return super().all_reservations(filters)

    ec2_backends.backend = SlowEC2Backend
