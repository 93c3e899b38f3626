"""The fleet: workers in Lambda, and how they are started.

Whoever starts one calls the drain function asynchronously, or sends a `Hint` to a trigger
(`workers/triggers.py`), which does. boto3 is imported, and a client made, when the first
wake is sent: a process that never sends one never pays for it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from math import ceil
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from bide.settings import Settings
from bide.wake import NoWake, Wake

MOST_HOPS: Final = 16
"""Invocations in a row that find nothing to do. After so many the chain ends, and the tick goes on.

AWS drops such chains at about this length, unless told otherwise (docs/deploying.md).
"""

_LONGEST_ALARM_S: Final = 900
"""SQS delays no message for longer; the tick sets later alarms when it is nearer to them."""

_log = logging.getLogger(__name__)


class Hint(msgspec.Struct, frozen=True):
    """What a message to a trigger says. Both count; neither is a task."""

    start: Annotated[int, Meta(ge=0)] = 0
    """Workers to start."""
    hops: Annotated[int, Meta(ge=0)] = 0
    """Invocations in a row, so far, that found nothing to do; beyond MOST_HOPS it starts nobody."""


Hops = Callable[[], int]
"""Says what the worker that is started now gets as its number of hops."""


def no_hops() -> int:
    """For who answers somebody: a request, the schedule."""
    return 0


class Clients:
    """boto3's clients of this process, each made when it is first needed. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[str, Any] = {}
        self._queue_urls: dict[str, str] = {}

    def get(self, service: str) -> Any:
        """The client of a service, which gives up within seconds."""
        with self._lock:
            if service not in self._made:
                import boto3  # type: ignore[import-untyped]
                from botocore.config import Config  # type: ignore[import-untyped]

                # A lost wake is made up for by the tick; a handler that hangs is not.
                limits = Config(
                    connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"}
                )
                self._made[service] = boto3.client(service, config=limits)
            return self._made[service]

    def queue_url(self, name: str) -> str:
        """Where a queue is; asked once."""
        if name not in self._queue_urls:
            self._queue_urls[name] = self.get("sqs").get_queue_url(QueueName=name)["QueueUrl"]
        return self._queue_urls[name]


_CLIENTS: Final = Clients()


Ring = Callable[[Settings, Hint], None]
"""A way to start the workers that a hint asks for. Raises what boto3 does."""


def _by_call(settings: Settings, hint: Hint) -> None:
    """Call the drain function: the shortest way."""
    payload = msgspec.json.encode({"hops": hint.hops})
    for _ in range(hint.start):
        _CLIENTS.get("lambda").invoke(
            FunctionName=settings.drain_function, InvocationType="Event", Payload=payload
        )


def _by_queue(settings: Settings, hint: Hint, delay_s: int = 0) -> None:
    """Send a message, whose trigger calls the drain function; it comes that much later."""
    _CLIENTS.get("sqs").send_message(
        QueueUrl=_CLIENTS.queue_url(settings.wake_queue),
        MessageBody=msgspec.json.encode(hint).decode(),
        DelaySeconds=delay_s,
    )


def _by_stream(settings: Settings, hint: Hint) -> None:
    """Put a record, whose trigger calls the drain function."""
    _CLIENTS.get("kinesis").put_record(
        StreamName=settings.wake_stream,
        Data=msgspec.json.encode(hint),
        PartitionKey=os.urandom(4).hex(),  # any shard will do
    )


class Fleet:
    """A `bide.wake.Wake`: starts workers in one of these ways. Nothing that it does is worth an error."""

    def __init__(self, settings: Settings, ring: Ring, *, hops: Hops = no_hops) -> None:
        self._settings = settings
        self._ring = ring
        self._hops = hops
        self._is_broken = False

    def start(self, count: int) -> None:
        """Start up to `count` workers; returns when AWS has accepted that, or after seconds in vain."""
        if count > 0:
            most = self._settings.workers_max
            self._attempt(lambda hops: self._ring(self._settings, Hint(min(count, most), hops)))

    @property
    def farthest_ms(self) -> int:
        """How far ahead an alarm can be set. Without a queue there is no alarm clock but the tick."""
        return _LONGEST_ALARM_S * 1000 if self._settings.wake_queue else -1

    def alarm(self, delay_ms: int) -> None:
        """Have a trigger look that many milliseconds from now, or up to a second later: SQS counts seconds.

        Never earlier: it would find nothing due, and nobody would look again.
        """
        delay_s = ceil(max(0, delay_ms) / 1000)
        self._attempt(lambda hops: _by_queue(self._settings, Hint(hops=hops), delay_s))

    def look(self) -> None:
        """Have a trigger look at once. Without a queue the tick does, within its minute."""
        if self._settings.wake_queue:
            self.alarm(0)

    def _attempt(self, send: Callable[[int], None]) -> None:
        hops = self._hops()
        if hops > MOST_HOPS:
            _log.warning("nobody is started: %d workers in a row found nothing to do", hops)
            return
        try:
            send(hops)
        except Exception as error:
            if not self._is_broken:  # once, not with each request
                _log.error("no worker could be started; the tick will: %s: %s", type(error).__name__, error)
            self._is_broken = True
        else:
            self._is_broken = False


_DOORBELLS: Final[dict[str, Ring]] = {"invoke": _by_call, "sqs": _by_queue, "kinesis": _by_stream}


def doorbell(settings: Settings) -> Wake:
    """How the API wakes workers: as `BIDE_WAKE` says."""
    ring = _DOORBELLS.get(settings.wake)
    return Fleet(settings, ring) if ring else NoWake()


def direct(settings: Settings, hops: Hops = no_hops) -> Wake:
    """How triggers and workers wake workers: they call the function, whatever rings the API's doorbell."""
    return Fleet(settings, _by_call, hops=hops) if settings.wake != "none" else NoWake()
