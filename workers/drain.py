"""The drain function: one worker per invocation, for as long as there is work or time."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from chalice.app import Blueprint

from workers import fleet
from workers.environment import set_up_logs, settings, tasks

if TYPE_CHECKING:
    from bide.settings import Settings

_PARTING_S: Final = 22.0
"""What leaving takes at most, besides the grace that tasks have: until the successor is there, unwinding,
last exchanges."""

_JOIN_S: Final = 1.0
"""How long threads may take to end after the worker has."""

_log = logging.getLogger(__name__)

routes = Blueprint("app")


class Deadline(Protocol):
    """Lambda's context, as far as this function cares."""

    def get_remaining_time_in_millis(self) -> int: ...


@routes.lambda_function()
def drain(event: dict[str, Any], context: Deadline) -> dict[str, Any]:
    """Work until there is nothing to do, or time is up; then another worker goes on.

    event: `{"hops": n}`, how many invocations in a row have found nothing to do. Returns what
    `hops` would be now. Raises SettingsError, RegistryError.
    """
    # Not with the module: it is imported by every function, and only this one needs it.
    import asyncio

    from bide import process_log
    from bide.worker.worker import Worker

    hops = _hops(event)
    before = set(threading.enumerate())
    worker = Worker(
        settings(),
        tasks(),
        settings().redis_url,
        stays=False,
        wake=fleet.direct(settings(), lambda: 0 if worker.has_worked else hops + 1),
        lives_s=lives_s(settings(), context),
        log=process_log.transitions(settings()),
    )
    set_up_logs(context, worker.name)
    asyncio.run(worker.run())
    _end_with(set(threading.enumerate()) - before)
    return {"hops": 0 if worker.has_worked else hops + 1}


def lives_s(settings: Settings, context: Deadline) -> float:
    """How long a worker may work, in seconds, so that it has left before its function's timeout."""
    left_s = context.get_remaining_time_in_millis() / 1000
    return max(0.0, min(settings.worker_seconds, left_s - settings.grace_seconds - _PARTING_S))


def _hops(event: Any) -> int:
    hops = event.get("hops") if isinstance(event, dict) else None
    # No worker was started with more: whoever calls this by hand must not end a chain that has not begun.
    return hops if isinstance(hops, int) and 0 < hops <= fleet.MOST_HOPS else 0


def _end_with(threads: set[threading.Thread]) -> None:
    """End this process if one of its threads goes on: it would thaw amid a later invocation, and run then."""
    ends_at = time.monotonic() + _JOIN_S
    for thread in threads:
        thread.join(max(0.0, ends_at - time.monotonic()))
    alive = sorted(thread.name for thread in threads if thread.is_alive())
    if alive:
        _log.error("ending this process: a plain function still runs in %s", ", ".join(alive))
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
