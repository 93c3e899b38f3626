"""Triggers: the schedule, the queue and the stream, which all run one short waker.

It looks after the slots, starts workers where some are needed, and returns within seconds.
What comes in is a hint and holds no task, so a trigger never fails: a message that was
refused would come again, and a record would hold up its shard, for something that the next
tick sees in any case.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, Final

import msgspec
from chalice.app import BaseLambdaEvent, Blueprint, CloudWatchEvent, KinesisEvent, Rate, SQSEvent

from bide.errors import BideError
from bide.upkeep import Caretaker
from bide.wake import Waker
from workers import fleet
from workers.environment import new_store, set_up_logs, settings, sources
from workers.fleet import MOST_HOPS, Hint

WITHIN_MS: Final = 120_000
"""What is due so soon gets an alarm: two periods of the tick, so that a tick that fails costs none."""

_LOOK_S: Final = 6.0
"""How long the look may take. The function has 10 s, of which a last call to AWS may take 3."""

_Handler = Callable[..., None]

_log = logging.getLogger(__name__)

# Named after app.py, for this is where Lambda looks for the handlers.
routes = Blueprint("app")


@routes.schedule(Rate(1, unit=Rate.MINUTES), description="Bide: upkeep, and a worker for what was missed")
def tick(event: CloudWatchEvent) -> None:
    """The scheduled run."""
    _wake(event, ())


_queue, _stream = sources()


def _trigger(source: str, register: Callable[..., Any], **options: object) -> Callable[[_Handler], _Handler]:
    """The decorator that registers a trigger; one that leaves the function alone where it has no source."""
    decorate: Callable[[_Handler], _Handler] = register(**options) if source else lambda handler: handler
    return decorate


@_trigger(_queue, routes.on_sqs_message, queue=_queue, batch_size=10)
def wake_by_queue(event: SQSEvent) -> None:
    """A doorbell or an alarm has come by the queue."""
    _wake(event, [record.body.encode("utf-8", "replace") for record in event])


@_trigger(_stream, routes.on_kinesis_record, stream=_stream, batch_size=100)
def wake_by_stream(event: KinesisEvent) -> None:
    """A doorbell has come by the stream."""
    _wake(event, [record.data for record in event])


def _wake(event: BaseLambdaEvent, messages: Sequence[bytes]) -> None:
    """Start whom the messages ask for, then look for what else it takes."""
    ends_at = time.monotonic() + _LOOK_S
    read = [_read(message) for message in messages]
    # Whatever a message is, somebody has rung; and none has a say in what the others come to.
    hints = [hint or Hint() for hint in read]
    hints = [hint for hint in hints if hint.hops <= MOST_HOPS] or hints
    hops = max((hint.hops for hint in hints), default=0)
    try:
        set_up_logs(event.context)
        if None in read:
            _log.warning("%d of %d messages say nothing that is known here", read.count(None), len(read))
        wake = fleet.direct(settings(), lambda: hops)
        wake.start(sum(hint.start for hint in hints))
        store = new_store()
        with closing(store.client):
            Caretaker(store, Waker(store, wake)).look(WITHIN_MS, goes_on=lambda: time.monotonic() < ends_at)
    except BideError as error:
        _log.error("the next tick makes up for this: %s: %s", type(error).__name__, error)


def _read(message: bytes) -> Hint | None:
    """What a message says; None for what cannot be read, which would come again if it failed the trigger."""
    try:
        return msgspec.json.decode(message, type=Hint)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
