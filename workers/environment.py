"""What every function of the fleet needs, read from the environment once per process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

from bide import process_log, registry
from bide.clock import Clock
from bide.connection import connect
from bide.errors import SettingsError
from bide.keys import Keys
from bide.registry import Registry
from bide.settings import Settings
from bide.store import Store
from bide.whose import REQUEST_ID


def serves_requests(environ: Mapping[str, str]) -> bool:
    """Whether HTTP requests come here: to the API's function, and to whatever is no function of ours."""
    return environ.get("_HANDLER", "app.app") == "app.app"


@cache
def settings() -> Settings:
    """The settings. Raises SettingsError, at each call anew, for what cannot be read or lacks."""
    found = Settings.from_environ(os.environ)
    if not found.redis_url:
        raise SettingsError(
            ["BIDE_REDIS_URL is not set: it says where the store is, as rediss://host:6379/0"]
        )
    return found


@cache
def tasks() -> Registry:
    """The tasks. Raises RegistryError for one that cannot be loaded, as the API does."""
    return registry.load(settings().tasks, local=settings().local, strict=not settings().local)


def new_store() -> Store:
    """A store with connections of its own: those of an earlier invocation may have died in a freeze."""
    found = settings()
    return Store(
        connect(found.redis_url), Keys(found.prefix), Clock(), limits=found.limits,
        records=found.records, log=process_log.transitions(found),
    )  # fmt: skip


def set_up_logs(context: object, worker: str = "") -> None:
    """Log as the settings say, under the id of this invocation. Raises SettingsError.

    context: Lambda's. worker: by which the store knows this process, if it is one.
    """
    process_log.set_up(settings(), worker)
    REQUEST_ID.set(str(getattr(context, "aws_request_id", "")))


def sources() -> tuple[str, str]:
    """Names of the queue and of the stream that have a trigger; empty where there is none.

    Settings that cannot be read have none: a deployment with such is refused, and a function
    that has got them all the same says so when it is called.
    """
    try:
        found = Settings.from_environ(os.environ)
    except SettingsError:
        return "", ""
    return found.wake_queue, found.wake_stream
