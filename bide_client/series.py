"""How fast tasks started and ran, minute by minute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bide_client.wire import an_object, moment, objects, reading, text, text_or_none


@dataclass(frozen=True)
class Percentiles:
    """Of durations, in milliseconds: half of them, 95 % and 99 % took at most that long."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def from_json(cls, json: object) -> Percentiles | None:
        """Read them; None for null. Raises KeyError, TypeError, ValueError when they cannot be read."""
        if json is None:
            return None
        found = an_object(json)
        return cls(float(found["p50"]), float(found["p95"]), float(found["p99"]))


@dataclass(frozen=True)
class Minute:
    """What ended in one minute, which began at `at`; times as in Series."""

    at: datetime | None
    succeeded: int
    failed: int
    start_delay_ms: Percentiles | None
    run_ms: Percentiles | None


@dataclass(frozen=True)
class Series:
    """What ended, of one task name in one queue, or with `name` None of all in a queue.

    `per_minute` ended on average; `start_delay_ms` is the time from when a task
    could start until it did, `run_ms` from the first start to the end, waits and
    retries included, None where nothing did; `buckets` has the same for each
    minute with anything in it, oldest first; `json` is everything the server sent of it.
    """

    queue: str
    name: str | None
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    per_minute: float
    start_delay_ms: Percentiles | None
    run_ms: Percentiles | None
    buckets: tuple[Minute, ...]
    json: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Series:
        """Read a series, or raise UnexpectedAnswer."""
        with reading("a series"):
            return cls(
                queue=text(json["queue"]),
                name=text_or_none(json.get("name")),
                succeeded=int(json["succeeded"]),
                failed=int(json["failed"]),
                cancelled=int(json["cancelled"]),
                expired=int(json["expired"]),
                per_minute=float(json["per_minute"]),
                start_delay_ms=Percentiles.from_json(json.get("start_delay_ms")),
                run_ms=Percentiles.from_json(json.get("run_ms")),
                buckets=tuple(_minute(bucket) for bucket in objects(json.get("buckets", []))),
                json=json,
            )


def _minute(json: Mapping[str, Any]) -> Minute:
    return Minute(
        at=moment(json.get("at")),
        succeeded=int(json["succeeded"]),
        failed=int(json["failed"]),
        start_delay_ms=Percentiles.from_json(json.get("start_delay_ms")),
        run_ms=Percentiles.from_json(json.get("run_ms")),
    )
