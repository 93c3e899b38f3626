"""What the server says about a task and about itself, as it crossed the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from bide_client.wire import moment, object_or_none, reading, text, text_or_none

STATES: Final = (
    "scheduled", "ready", "running", "waiting", "retrying", "succeeded", "failed", "cancelled", "expired",
)  # fmt: skip
"""Those that servers of today have."""


@dataclass(frozen=True)
class TaskStatus:
    """A task as it stood when the server answered.

    `done` alone says whether it will change: later servers may have more states
    than `scheduled`, `ready`, `running`, `waiting`, `retrying`, `succeeded`,
    `failed`, `cancelled` and `expired`. `error` is `{"code", "message",
    "traceback"?}` or None; `progress` is `{"fraction", "message"}` or None;
    `priority` is from 0 to 9 (first), `unique` the value that one unfinished
    task may have, `expires_at` when it is too late to start. In a list of tasks
    `args` and `result` are missing: {} and None. `billed_ms` is its share of its
    workers' time, `cost_usd` that in dollars, `waited_ms` its time in waits;
    `json` is everything the server sent. Times are aware, by the server's clock.
    """

    id: str
    name: str
    queue: str
    state: str
    done: bool
    args: Mapping[str, Any]
    result: Any
    error: Mapping[str, Any] | None
    attempt: int
    max_attempts: int
    submitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    run_at: datetime | None
    progress: Mapping[str, Any] | None
    billed_ms: float
    waited_ms: int
    replays: int
    polls: int
    cost_usd: float
    priority: int
    tags: tuple[str, ...]
    unique: str | None
    expires_at: datetime | None
    json: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> TaskStatus:
        """Read a task, or raise UnexpectedAnswer."""
        with reading("a task"):
            return cls(
                id=text(json["id"]),
                name=text(json["name"]),
                queue=text(json["queue"]),
                state=text(json["state"]),
                done=bool(json["done"]),
                args=json.get("args") or {},
                result=json.get("result"),
                error=object_or_none(json.get("error")),
                attempt=int(json.get("attempt") or 0),
                max_attempts=int(json.get("max_attempts") or 0),
                submitted_at=moment(json.get("submitted_at")),
                started_at=moment(json.get("started_at")),
                finished_at=moment(json.get("finished_at")),
                run_at=moment(json.get("run_at")),
                progress=object_or_none(json.get("progress")),
                billed_ms=float(json.get("billed_ms") or 0),
                waited_ms=int(json.get("waited_ms") or 0),
                replays=int(json.get("replays") or 0),
                polls=int(json.get("polls") or 0),
                cost_usd=float(json.get("cost_usd") or 0),
                priority=int(json.get("priority") or 0),
                tags=tuple(text(tag) for tag in json.get("tags") or ()),
                unique=text_or_none(json.get("unique")),
                expires_at=moment(json.get("expires_at")),
                json=json,
            )


@dataclass(frozen=True)
class ServerStatus:
    """Whether the server accepts submissions, and if not, why.

    `retry_after` (seconds) is what refused clients are told; `epoch` grows with
    every close and open; `left` is how many tasks of all queues are not done
    yet, None when the server does not say; `queues_left` the same for each queue,
    which only drain() asks for; `json` is everything the server sent.
    """

    accepting: bool
    reason: str
    retry_after: int | None
    epoch: int
    changed_at: datetime | None
    left: int | None
    queues_left: Mapping[str, int]
    json: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> ServerStatus:
        """Read the server's state, or raise UnexpectedAnswer."""
        with reading("a state"):
            return cls(
                accepting=bool(json["accepting"]),
                reason=text(json.get("reason") or ""),
                retry_after=json.get("retry_after"),
                epoch=int(json.get("epoch") or 0),
                changed_at=moment(json.get("changed_at")),
                left=None if json.get("left") is None else int(json["left"]),
                queues_left={text(part["queue"]): int(part["left"]) for part in json.get("queues", ())},
                json=json,
            )


@dataclass(frozen=True)
class StatsPart:
    """What the tasks of one queue, or of one day (UTC), came to.

    `name` is the queue's, or the date; `paid_usd` is None for a queue, since
    workers are shared; `json` is everything the server sent of it.
    """

    name: str
    ended: int
    waited_ms: int
    billed_ms: float
    cost_usd: float
    paid_usd: float | None
    json: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, kind: str, json: Mapping[str, Any]) -> StatsPart:
        """Read one. Raises AttributeError, KeyError, TypeError, ValueError when it cannot be read."""
        return cls(
            name=text(json[kind]),
            ended=sum(int(count) for count in json["tasks"].values()),
            waited_ms=int(json["waited_ms"]),
            billed_ms=float(json["billed_ms"]),
            cost_usd=float(json["cost_usd"]),
            paid_usd=float(json["paid_usd"]) if "paid_usd" in json else None,
            json=json,
        )


@dataclass(frozen=True)
class Stats:
    """What all tasks of the server came to, since its store was made.

    How many tasks `succeeded`, `failed`, were `cancelled` or `expired`; their
    time in waits and their active share of the workers' time; for how long
    workers lived; how often tasks were resumed and something was polled, and
    the calls that shared pollers made for it. `cost_usd` is the tasks' share of
    the workers' time in dollars, `paid_usd` what workers cost in all. `summary`
    says it in a few words; `queues` and `days` are the same sums for each queue
    and for each of the last days; `json` is everything the server sent.
    """

    succeeded: int
    failed: int
    cancelled: int
    expired: int
    waited_ms: int
    billed_ms: float
    worker_ms: int
    replays: int
    polls: int
    poller_calls: int
    worker_starts: int
    cost_usd: float
    paid_usd: float
    summary: str
    queues: tuple[StatsPart, ...]
    days: tuple[StatsPart, ...]
    json: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Stats:
        """Read the totals, or raise UnexpectedAnswer."""
        with reading("totals"):
            ended = json["tasks"]
            return cls(
                succeeded=int(ended["succeeded"]),
                failed=int(ended["failed"]),
                cancelled=int(ended["cancelled"]),
                expired=int(ended["expired"]),
                waited_ms=int(json["waited_ms"]),
                billed_ms=float(json["billed_ms"]),
                worker_ms=int(json["worker_ms"]),
                replays=int(json["replays"]),
                polls=int(json["polls"]),
                poller_calls=int(json["poller_calls"]),
                worker_starts=int(json.get("worker_starts") or 0),
                cost_usd=float(json.get("cost_usd") or 0),
                paid_usd=float(json.get("paid_usd") or 0),
                summary=text(json["summary"]),
                queues=tuple(StatsPart.from_json("queue", part) for part in json.get("queues", ())),
                days=tuple(StatsPart.from_json("day", part) for part in json.get("days", ())),
                json=json,
            )
