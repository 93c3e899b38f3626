"""What the views need, built once per process, at the first request."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
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


_AGAIN_SECONDS: Final = 60.0
"""How long a failure is remembered. A module may be slow to fail, and whoever asks would wait for it."""

_VARIABLE: Final = re.compile(r"\bBIDE_[A-Z_]+\b")

_log: Final = logging.getLogger("bide.api")


@dataclass(frozen=True)
class _Failure:
    """What came of building the services."""

    why: str
    """For the log: it may have whatever a module of the user's raised, passwords included."""
    told: str
    """What everybody may know."""
    until: float
    """When it is tried again, by time.monotonic()."""


class Provider:
    """Builds the services when they are first asked for. Thread-safe."""

    def __init__(self, build: Callable[[MakeWake], Services]) -> None:
        self._build = build
        self._make_wake: MakeWake = lambda _: NoWake()
        self._lock = threading.Lock()
        self._services: Services | None = None
        self._failure: _Failure | None = None

    def get(self) -> Services:
        """The services. Raises NotConfigured, which says that the log says why.

        A failure is logged once, and remembered for a minute: nothing is imported again meanwhile.
        """
        services = self._services
        if services is not None:
            return services
        failure = self._failure
        # Those who ask first wait for whoever builds; later ones are told what the last attempt came to.
        if not self._lock.acquire(blocking=failure is None):
            raise NotConfigured(failure.told if failure else None)
        try:
            return self._built()
        finally:
            self._lock.release()

    def _built(self) -> Services:
        if self._services is not None:
            return self._services
        last = self._failure
        if last is not None and time.monotonic() < last.until:
            raise NotConfigured(last.told)
        try:
            self._services = self._build(self._make_wake)
        except (SettingsError, RegistryError) as error:
            if last is None or last.why != error.message:
                _log.error("%s", error.message, exc_info=error.__cause__)
            told = _told(error)
            self._failure = _Failure(error.message, told, time.monotonic() + _AGAIN_SECONDS)
            raise NotConfigured(told) from error
        self._failure = None
        return self._services

    def wake_with(self, make: MakeWake) -> None:
        """Have the services that are built from now on start workers with what this makes."""
        self._make_wake = make

    def use(self, services: Services | None) -> None:
        """Serve these from now on; None builds them anew at the next request."""
        self._services, self._failure = services, None


def _told(error: SettingsError | RegistryError) -> str:
    """What everybody may know of it."""
    if isinstance(error, RegistryError):
        return "Tasks could not be loaded; the server's log says why."
    wrong = set(_VARIABLE.findall(error.message))
    named = ", ".join(name for name in Settings.names() if name in wrong)
    return f"The server's settings are wrong ({named}); its log says why."


def _from_environment(make_wake: MakeWake) -> Services:
    settings = Settings.from_environ(os.environ)
    process_log.set_up(settings)
    return build(settings, make_wake(settings), process_log.transitions(settings))


PROVIDER: Final = Provider(_from_environment)
"""The process's services: the one object that views share."""
