"""A change of many tasks, which the server makes step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bide_client.wire import an_object, moment, number_or_none, reading, text


@dataclass(frozen=True)
class Operation:
    """A redrive or purge of a queue's failed tasks, as it stood when the server answered.

    `kind`: `redrive` or `purge`; `state`: `running` or `done`. `matched` tasks
    fit the `filter` so far; `changed` were retried or deleted (none when it is a
    `dry_run`); `skipped` could not be, such as for a `unique` value that
    another has by now. `rate` in tasks per second, None for no limit; `json` is
    everything the server sent.
    """

    id: str
    kind: str
    queue: str
    state: str
    dry_run: bool
    filter: Mapping[str, Any]
    rate: float | None
    matched: int
    changed: int
    skipped: int
    created_at: datetime | None
    finished_at: datetime | None
    json: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def done(self) -> bool:
        """Whether it will not change any more."""
        return self.state != "running"

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Operation:
        """Read an operation, or raise UnexpectedAnswer."""
        with reading("an operation"):
            return cls(
                id=text(json["id"]),
                kind=text(json["kind"]),
                queue=text(json["queue"]),
                state=text(json["state"]),
                dry_run=bool(json["dry_run"]),
                filter=an_object(json.get("filter") or {}),
                rate=number_or_none(json.get("rate")),
                matched=int(json["matched"]),
                changed=int(json["changed"]),
                skipped=int(json["skipped"]),
                created_at=moment(json.get("created_at")),
                finished_at=moment(json.get("finished_at")),
                json=json,
            )
