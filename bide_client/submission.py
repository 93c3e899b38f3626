"""What goes with a submission besides the task's own arguments."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from bide_client.errors import UsageError
from bide_client.status import TaskStatus
from bide_client.task import Task
from bide_client.transport import Transport, checked_key

LONGEST_HOLD: Final = 20
"""Seconds; the server's limit for `Prefer: wait`."""


@dataclass(frozen=True)
class Options:
    """Options of a submission. None leaves the choice to the task or the server.

    `delay` (seconds or timedelta) or `run_at` (aware datetime or RFC 3339 text)
    start the task later. `wait` seconds (1 to 20) let the server answer the
    submission only when the task is done, if it is done that soon.
    """

    queue: str | None = None
    delay: float | timedelta | None = None
    run_at: datetime | str | None = None
    idempotency_key: str | None = None
    wait: int | None = None

    def __post_init__(self) -> None:
        if self.delay is not None and self.run_at is not None:
            raise UsageError("Give delay or run_at, not both")
        seconds = self.delay_seconds
        if seconds is not None and not 0 <= seconds < float("inf"):
            raise UsageError(f"delay must be 0 or more seconds, not {self.delay!r}")
        if isinstance(self.run_at, datetime) and self.run_at.tzinfo is None:
            raise UsageError("run_at needs a time zone, such as datetime.now(timezone.utc)")
        if self.idempotency_key is not None:
            checked_key(self.idempotency_key)
        if self.wait is not None and self.wait not in range(1, LONGEST_HOLD + 1):
            raise UsageError(f"wait must be whole seconds from 1 to {LONGEST_HOLD}, not {self.wait!r}")

    @property
    def delay_seconds(self) -> float | None:
        """The delay as seconds."""
        return self.delay.total_seconds() if isinstance(self.delay, timedelta) else self.delay

    def body(self, name: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """The body of `POST /v1/tasks`."""
        run_at = self.run_at.isoformat() if isinstance(self.run_at, datetime) else self.run_at
        chosen = {"queue": self.queue, "delay": self.delay_seconds, "run_at": run_at}
        return {"name": name, "args": args, **{k: v for k, v in chosen.items() if v is not None}}


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
