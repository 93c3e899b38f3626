"""Workers of an earlier stack, which have died with it, whatever its store still says of them."""

from __future__ import annotations

from contextlib import closing

from bide.clock import Clock
from bide.connection import connect
from bide.crew import crew
from bide.keys import Keys
from bide.settings import Settings
from bide.store import Store
from bide.upkeep import Caretaker
from bide.wake import NoWake, Waker


def lose_all(settings: Settings, redis_url: str) -> None:
    """Count on no worker that the store has heard of; their leases end by themselves.

    For a store that no other stack uses: one that was killed cannot say so, and its workers would be counted
    on for half a minute, in which nobody else is started or, where as many are there as may be, let in.
    Raises StoreUnavailable.
    """
    store = Store(connect(redis_url), Keys(settings.prefix), Clock(), limits=settings.limits)
    with closing(store.client):
        caretaker, lost = Caretaker(store, Waker(store, NoWake())), set[str]()
        # A hundred of each queue are told at a time.
        while found := {member.worker for member in crew(store, store.slots(), lambda _: False)} - lost:
            for worker in found:
                caretaker.lose(worker)
            lost |= found
