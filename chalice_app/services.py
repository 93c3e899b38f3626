"""What the views need, built once per process, at the first request."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bide import process_log, registry
from bide.clock import Clock
from bide.connection import connect
from bide.errors import RegistryError, SettingsError
from bide.gate import Gatekeeper
from bide.keys import Keys
from bide.prices import Tariff, prices
from bide.reads import Reads
from bide.registry import Registry
from bide.settings import Settings
from bide.store import Store
from bide.transition_log import TransitionLog
from bide.wake import NoWake, Wake, Waker
from chalice_app.errors import NotConfigured


@dataclass(frozen=True)
class Services:
    """Immutable, and safe to share between threads and across a fork (each has connections of its own)."""

    settings: Settings
    store: Store
    waker: Waker
    reads: Reads
    gatekeeper: Gatekeeper
    registry: Registry
    queues: frozenset[str]
    """Every queue that may be submitted to."""
    tariff: Tariff

    def all_queues(self) -> tuple[str, ...]:
        """Those, and every other that ever had a task. One round trip. Raises StoreUnavailable."""
        return tuple(sorted({*self.queues, *self.store.slots()}))


def build(
    settings: Settings,
    wake: Wake = NoWake(),  # noqa: B008 - it has no state
    log: TransitionLog | None = None,
) -> Services:
    """Services for these settings; connects only when first used. Raises SettingsError, RegistryError.

    wake: how workers are started where none is awake. log: of transitions.
    """
    if not settings.redis_url:
        raise SettingsError(
            ["BIDE_REDIS_URL is not set: it says where the store is, as rediss://host:6379/0"]
        )
    try:
        client = connect(settings.redis_url)
    except ValueError as error:
        raise SettingsError([f"BIDE_REDIS_URL {error}"]) from error
    store = Store(
        client, Keys(settings.prefix), Clock(), limits=settings.limits, records=settings.records, log=log
    )
    tasks = registry.load(settings.tasks, local=settings.local, strict=not settings.local)
    queues = frozenset({*tasks.queues, *settings.queues})
    tariff = Tariff(prices(settings.prices), settings.memory_mb)
    return Services(
        settings, store, Waker(store, wake), Reads(store), Gatekeeper(store), tasks, queues, tariff
    )


MakeWake = Callable[[Settings], Wake]
"""Makes what starts workers, for these settings."""


class Provider:
    """Builds the services when they are first asked for. Thread-safe."""

    def __init__(self, build: Callable[[MakeWake], Services]) -> None:
        self._build = build
        self._make_wake: MakeWake = lambda _: NoWake()
        self._lock = threading.Lock()
        self._services: Services | None = None

    def get(self) -> Services:
        """The services. Raises NotConfigured, which says what to set; the next call tries again."""
        services = self._services
        if services is not None:
            return services
        with self._lock:
            if self._services is None:
                try:
                    self._services = self._build(self._make_wake)
                except (SettingsError, RegistryError) as error:
                    raise NotConfigured(error.message) from error
            return self._services

    def wake_with(self, make: MakeWake) -> None:
        """Have the services that are built from now on start workers with what this makes."""
        self._make_wake = make

    def use(self, services: Services | None) -> None:
        """Serve these from now on; None builds them anew at the next request."""
        self._services = services


def _from_environment(make_wake: MakeWake) -> Services:
    settings = Settings.from_environ(os.environ)
    process_log.set_up(settings)
    return build(settings, make_wake(settings), process_log.transitions(settings))


PROVIDER: Final = Provider(_from_environment)
"""The process's services: the one object that views share."""
