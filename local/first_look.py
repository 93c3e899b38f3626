"""The first look of a stack whose AWS is new: alarms and starts of an earlier one went with its queue."""

from __future__ import annotations

from contextlib import closing
from math import ceil
from typing import Any, Final

from bide.clock import Clock
from bide.connection import connect
from bide.keys import Keys
from bide.settings import Settings
from bide.store import Store
from bide.upkeep import Caretaker
from bide.wake import Waker

_FARTHEST_S: Final = 900
"""SQS delays no message for longer."""


class _QueueWake:
    """A `bide.wake.Wake`: messages to the trigger, from outside of all functions."""

    farthest_ms: Final = _FARTHEST_S * 1000

    def __init__(self, sqs: Any, queue: str) -> None:
        self._sqs = sqs
        self._url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]

    def start(self, count: int) -> None:
        self._send(f'{{"start":{count}}}', 0)

    def alarm(self, delay_ms: int) -> None:
        self._send("{}", ceil(delay_ms / 1000))

    def look(self) -> None:
        self._send("{}", 0)

    def _send(self, hint: str, delay_s: int) -> None:
        self._sqs.send_message(QueueUrl=self._url, MessageBody=hint, DelaySeconds=delay_s)


def first_look(settings: Settings, redis_url: str, sqs: Any) -> None:
    """Set every alarm that is due within what the queue can hold, and have workers started for what is ready.

    sqs: boto3's client, of the AWS that has the queue. Raises StoreUnavailable and what boto3 raises.
    """
    store = Store(connect(redis_url), Keys(settings.prefix), Clock(), limits=settings.limits)
    with closing(store.client):
        waker = Waker(store, _QueueWake(sqs, settings.wake_queue))
        Caretaker(store, waker).look(_FARTHEST_S * 1000, every_alarm=True, afresh=True)
