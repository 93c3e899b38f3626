"""What one try of a task came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bide_client.wire import moment, reading, text, text_or_none


@dataclass(frozen=True)
class Attempt:
    """One attempt. `outcome`: `running`, `succeeded`, `failed`, `retrying`, `lost`, `cancelled`.

    `attempt` counts from 1; `worker` ran it; `code` and `message` say why it
    failed; `traceback` only to operators, of the latest failure; `ended_at` is
    None while it runs; `json` is everything the server sent of it.
    """

    attempt: int
    worker: str | None
    started_at: datetime | None
    ended_at: datetime | None
    outcome: str
    code: str | None
    message: str | None
    traceback: str | None
    json: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Attempt:
        """Read an attempt, or raise UnexpectedAnswer."""
        with reading("an attempt"):
            return cls(
                attempt=int(json["attempt"]),
                worker=text_or_none(json.get("worker")),
                started_at=moment(json.get("started_at")),
                ended_at=moment(json.get("ended_at")),
                outcome=text(json["outcome"]),
                code=text_or_none(json.get("code")),
                message=text_or_none(json.get("message")),
                traceback=text_or_none(json.get("traceback")),
                json=json,
            )
