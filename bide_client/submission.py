"""What goes with a submission besides the task's own arguments."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from bide_client.errors import UsageError
from bide_client.status import TaskStatus
from bide_client.task import Task
from bide_client.transport import Transport, checked_key

LONGEST_HOLD: Final = 20
"""Seconds; the server's limit for `Prefer: wait`."""
MOST_TAGS: Final = 8
_TAG: Final = re.compile(r"[a-z0-9_-]{1,64}")
_UNIQUE: Final = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True)
class Options:
    """Options of a submission. None leaves the choice to the task or the server.

    `delay` (seconds or timedelta) or `run_at` (aware datetime or RFC 3339 text)
    start the task later; `expires` (seconds or timedelta from now) is when it is
    too late to start. `priority` is from 0 to 9, 9 first. Of the tasks with one
    `unique` value (1 to 255 visible ASCII characters) only one may be
    unfinished. `tags` are up to 8 words of a-z, 0-9, _ and -, to find the task
    by. `wait` seconds (1 to 20) let the server answer the submission only when
    the task is done, if it is done that soon.
    """

    queue: str | None = None
    delay: float | timedelta | None = None
    run_at: datetime | str | None = None
    priority: int | None = None
    expires: float | timedelta | None = None
    unique: str | None = None
    tags: Sequence[str] = ()
    idempotency_key: str | None = None
    wait: int | None = None

    def __post_init__(self) -> None:
        if self.delay is not None and self.run_at is not None:
            raise UsageError("Give delay or run_at, not both")
        delay, expires = _seconds(self.delay), _seconds(self.expires)
        if delay is not None and not 0 <= delay < float("inf"):
            raise UsageError(f"delay must be 0 or more seconds, not {self.delay!r}")
        if expires is not None and not 0 < expires < float("inf"):
            raise UsageError(f"expires must be more than 0 seconds, not {self.expires!r}")
        if isinstance(self.run_at, datetime) and self.run_at.tzinfo is None:
            raise UsageError("run_at needs a time zone, such as datetime.now(timezone.utc)")
        if self.priority is not None and (type(self.priority) is not int or not 0 <= self.priority <= 9):
            raise UsageError(f"priority must be a whole number from 0 to 9, not {self.priority!r}")
        if self.unique is not None and not _UNIQUE.fullmatch(self.unique):
            raise UsageError("unique must be 1 to 255 visible ASCII characters")
        if isinstance(self.tags, str) or len(self.tags) > MOST_TAGS:
            raise UsageError(f"tags must be a list of at most {MOST_TAGS}, not {self.tags!r}")
        for tag in self.tags:
            if not _TAG.fullmatch(tag):
                raise UsageError(f"{tag!r} is no tag: 1 to 64 of the characters a-z, 0-9, _ and -")
        if self.idempotency_key is not None:
            checked_key(self.idempotency_key)
        if self.wait is not None and self.wait not in range(1, LONGEST_HOLD + 1):
            raise UsageError(f"wait must be whole seconds from 1 to {LONGEST_HOLD}, not {self.wait!r}")

    def body(self, name: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """The body of `POST /v1/tasks`."""
        run_at = self.run_at.isoformat() if isinstance(self.run_at, datetime) else self.run_at
        chosen = {
            "queue": self.queue,
            "delay": _seconds(self.delay),
            "run_at": run_at,
            "priority": self.priority,
            "expires": _seconds(self.expires),
            "unique": self.unique,
            "tags": list(self.tags) or None,
        }
        return {"name": name, "args": args, **{k: v for k, v in chosen.items() if v is not None}}


@dataclass(frozen=True)
class Submission:
    """A task that is yet to be submitted, for `Client.submit_many()`. `prepare()` makes it."""

    name: str
    args: Mapping[str, Any]
    options: Options


class Submitter:
    """Submits tasks with the same options. `Client.options()` makes it."""

    def __init__(self, transport: Transport, options: Options, *, prefer_wait: int) -> None:
        self._transport = transport
        self._options = options
        self._prefer_wait = prefer_wait

    def submit(self, name: str, /, **args: Any) -> Task:
        """Submit the task `name` with `args`; return its handle as soon as the server has recorded it.

        The submission carries an Idempotency-Key, so it is made again safely
        when the connection breaks. Two submissions with one `idempotency_key`
        of yours are one task. Raises a Refused, ServerFault or ConnectionFailed;
        UsageError for arguments that JSON cannot carry.
        """
        key = self._options.idempotency_key or str(uuid.uuid4())
        answer = self._transport.call(
            "POST",
            "/v1/tasks",
            body=self._options.body(name, args),
            headers={"Idempotency-Key": key},
            hold=self._options.wait or 0,
        )
        id = TaskStatus.from_json(answer.json).id
        task = Task(self._transport, id, prefer_wait=self._prefer_wait)
        task.learn(answer)
        return task

    def prepare(self, name: str, /, **args: Any) -> Submission:
        """The task `name` with `args` and these options, to be submitted with others; asks nothing."""
        if self._options.wait is not None:
            raise UsageError("wait is for a task that is submitted alone")
        return Submission(name, args, self._options)


def _seconds(span: float | timedelta | None) -> float | None:
    return span.total_seconds() if isinstance(span, timedelta) else span
