"""A queue of hints, as a test reads it."""

from __future__ import annotations

import json
from typing import Any


class Queue:
    """An SQS queue of a test's own."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.name = name
        self._url = client.create_queue(QueueName=name)["QueueUrl"]

    def now(self) -> list[Any]:
        """What has come and is visible, read once."""
        return self._receive(0)

    def wait(self) -> list[Any]:
        """What comes next, within seconds."""
        return self._receive(10)

    def delayed(self) -> int:
        """How many messages there are that will be seen later."""
        name = "ApproximateNumberOfMessagesDelayed"
        found = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        return int(found["Attributes"][name])

    def _receive(self, wait_s: int) -> list[Any]:
        found = self._client.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_s
        )
        return [json.loads(message["Body"]) for message in found.get("Messages", [])]
