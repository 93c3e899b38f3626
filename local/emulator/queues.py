"""The SQS event source: receives batches, invokes the function, deletes what it has done.

A batch whose invocation failed, or was throttled, is left alone: SQS shows its messages again.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from local.emulator.polling import SERVICE_ERRORS, Calls, Invoke, succeeds
from local.emulator.pool import Outcome

_WAIT_SECONDS: Final = 1
"""How long a receive waits for the first message; so long may the end of a source take."""

_BATCHES: Final = 5
"""Batches at work at once; what AWS begins with."""

_DELETE_AT_ONCE: Final = 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class QueueMapping:
    """Which queue feeds which function."""

    function: str
    queue_arn: str
    batch_size: int = 10
    reports_failures: bool = False
    """The function names the messages of a batch that it could not do (ReportBatchItemFailures)."""


class QueueSource:
    """Polls one queue with `client`, a boto3 client of SQS."""

    def __init__(self, client: Any, invoke: Invoke, mapping: QueueMapping) -> None:
        self._calls = Calls(client, threads=2)
        self._invoke = invoke
        self._mapping = mapping
        self._room = asyncio.Semaphore(_BATCHES)
        self._batches: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled; batches at work then are left to be shown again."""
        with self._calls:
            try:
                while True:
                    try:
                        await self._poll(await self._url())
                    except SERVICE_ERRORS as error:
                        await self._calls.pause(error)
            finally:
                for batch in self._batches:
                    batch.cancel()

    async def _url(self) -> str:
        *_, account, name = self._mapping.queue_arn.split(":")
        answer = await self._calls.call("get_queue_url", QueueName=name, QueueOwnerAWSAccountId=account)
        return str(answer["QueueUrl"])

    async def _poll(self, url: str) -> None:
        while True:
            await self._room.acquire()
            messages: list[dict[str, Any]] = []
            try:
                received = await self._calls.call(
                    "receive_message",
                    QueueUrl=url,
                    MaxNumberOfMessages=min(self._mapping.batch_size, 10),
                    WaitTimeSeconds=_WAIT_SECONDS,
                    MessageSystemAttributeNames=["All"],
                    MessageAttributeNames=["All"],
                )
                messages = received.get("Messages", [])
            finally:
                if not messages:
                    self._room.release()
            if messages:
                batch = asyncio.create_task(self._handle(url, messages))
                self._batches.add(batch)
                batch.add_done_callback(self._handled)

    def _handled(self, batch: asyncio.Task[None]) -> None:
        self._batches.discard(batch)
        self._room.release()
        if not batch.cancelled() and (error := batch.exception()) is not None:
            # Its messages are shown again, as those of a function that has failed.
            _log.error("a batch for %s came to nothing", self._mapping.function, exc_info=error)

    async def _handle(self, url: str, messages: list[dict[str, Any]]) -> None:
        event = msgspec.json.encode({"Records": [self._record(message) for message in messages]})
        trace = messages[0].get("Attributes", {}).get("AWSTraceHeader")
        outcome = await succeeds(self._invoke, self._mapping.function, event, trace)
        if outcome is None:
            return
        left = self._failures(outcome) if self._mapping.reports_failures else frozenset[str]()
        done = [message for message in messages if message["MessageId"] not in left]
        for start in range(0, len(done), _DELETE_AT_ONCE):
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(done[start : start + _DELETE_AT_ONCE])
            ]
            try:
                await self._calls.call("delete_message_batch", QueueUrl=url, Entries=entries)
            except SERVICE_ERRORS:
                return  # they are shown again: delivery is at least once

    def _record(self, message: dict[str, Any]) -> dict[str, Any]:
        attributes = message.get("MessageAttributes", {})
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": {
                name: {
                    "stringValue": value.get("StringValue"),
                    "binaryValue": value.get("BinaryValue"),
                    "dataType": value["DataType"],
                }
                for name, value in attributes.items()
            },
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._mapping.queue_arn,
            "awsRegion": self._mapping.queue_arn.split(":")[3],
        }

    def _failures(self, outcome: Outcome) -> frozenset[str]:
        answer = msgspec.json.decode(outcome.payload)
        failures = answer.get("batchItemFailures") if isinstance(answer, dict) else None
        return frozenset(str(failure["itemIdentifier"]) for failure in failures or ())
