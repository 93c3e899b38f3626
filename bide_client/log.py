"""A task's log: what it said while it ran, line by line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bide_client.wire import moment, number_or_none, objects, reading, text, text_or_none, whole_or_none


@dataclass(frozen=True)
class LogLine:
    """One line. `kind`: `log` (of the logging module), `progress` or `event`.

    `number` counts from 1 within the task; `level` and `logger` are those of a
    `log` line; `fraction` (0 to 1) is progress; what does not apply is None;
    `json` is everything the server sent of it.
    """

    number: int
    at: datetime | None
    kind: str
    attempt: int | None
    level: str | None
    logger: str | None
    message: str | None
    fraction: float | None
    json: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> LogLine:
        """Read a line. Raises KeyError, TypeError, ValueError when it cannot be read."""
        return cls(
            number=int(json["number"]),
            at=moment(json.get("at")),
            kind=text(json["kind"]),
            attempt=whole_or_none(json.get("attempt")),
            level=text_or_none(json.get("level")),
            logger=text_or_none(json.get("logger")),
            message=text_or_none(json.get("message")),
            fraction=number_or_none(json.get("fraction")),
            json=json,
        )


@dataclass(frozen=True)
class LogPage:
    """Some lines, oldest first. Ask on with `after=next`.

    `dropped`: lines of the task that were not kept, because it said too much;
    `done`: the task is done; `retry_after`: seconds until asking again may tell
    more, None when nothing more will come.
    """

    lines: tuple[LogLine, ...]
    next: int
    dropped: int
    done: bool
    retry_after: float | None
    json: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, json: Mapping[str, Any], retry_after: float | None) -> LogPage:
        """Read a page, or raise UnexpectedAnswer."""
        with reading("a log"):
            return cls(
                lines=tuple(LogLine.from_json(line) for line in objects(json["lines"])),
                next=int(json["next"]),
                dropped=int(json.get("dropped") or 0),
                done=bool(json["done"]),
                retry_after=retry_after,
                json=json,
            )
