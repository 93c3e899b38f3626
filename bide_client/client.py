"""The entrance: one client for one server."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final

from bide_client.errors import UsageError
from bide_client.status import ServerStatus, Stats, TaskStatus
from bide_client.submission import LONGEST_HOLD, Options, Submitter
from bide_client.task import Task
from bide_client.transport import Transport

DEFAULT_URL: Final = "http://127.0.0.1:8000"


class Client:
    """Talks to one Bide server. Threads may share it.

        client = Client()
        task = client.submit("echo", value=1)
        task.result(timeout=10)

    Keeps connections open between calls, as many as there are threads; leaving
    a `with` block, or disconnect(), closes them.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
        patience: float = 30.0,
        retry_closed: bool = False,
        prefer_wait: int = 2,
    ) -> None:
        """All times are in seconds.

        `url` and `key` default to BIDE_URL (else http://127.0.0.1:8000) and
        BIDE_KEY. `patience`: how long a call that can be repeated safely is
        tried again after a broken connection, 429, 502, 503 or 504; 0 never.
        `retry_closed`: whether that includes a server closed for submissions.
        `prefer_wait`: how long the server may hold a poll of a task which it
        expects to finish very soon; 0 never.
        """
        if not 0 <= prefer_wait <= LONGEST_HOLD:
            raise UsageError(f"prefer_wait must be from 0 to {LONGEST_HOLD} seconds, not {prefer_wait!r}")
        self._prefer_wait = prefer_wait
        self._transport = Transport(
            url or os.environ.get("BIDE_URL") or DEFAULT_URL,
            key or os.environ.get("BIDE_KEY") or None,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            patience=patience,
            retry_closed=retry_closed,
        )

    def __repr__(self) -> str:
        return f"<Client of {self.url}>"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()

    @property
    def url(self) -> str:
        """The server's URL, without a slash at its end."""
        return self._transport.url

    def submit(self, name: str, /, **args: Any) -> Task:
        """Submit the task `name` with the arguments `args`; see Submitter.submit()."""
        return self.options().submit(name, **args)

    def options(
        self,
        *,
        queue: str | None = None,
        delay: float | timedelta | None = None,
        run_at: datetime | str | None = None,
        idempotency_key: str | None = None,
        wait: int | None = None,
    ) -> Submitter:
        """What submits with these options; they stand apart so that a task's arguments may have any name.

        client.options(queue="slow", delay=60).submit("echo", queue="mine", delay="yours")

        See Options for their meaning. Raises UsageError for options that cannot be.
        """
        options = Options(queue=queue, delay=delay, run_at=run_at, idempotency_key=idempotency_key, wait=wait)
        return Submitter(self._transport, options, prefer_wait=self._prefer_wait)

    def task(self, id: str) -> Task:
        """The handle of a task whose id is known. Asks nothing: an unknown id shows at the first question."""
        return Task(self._transport, id, prefer_wait=self._prefer_wait)

    def send_event(
        self, task_id: str, name: str, body: Any = None, *, idempotency_key: str | None = None
    ) -> TaskStatus:
        """Send a task whose id is known an event; see Task.send_event()."""
        return self.task(task_id).send_event(name, body, idempotency_key=idempotency_key)

    def stats(self) -> Stats:
        """Ask what all tasks of the server came to: how they ended, what they waited, what that cost."""
        return Stats.from_json(self._transport.call("GET", "/v1/stats").json)

    def server(self) -> ServerStatus:
        """Ask whether the server accepts submissions."""
        return ServerStatus.from_json(self._transport.call("GET", "/v1/server").json)

    def close(self, reason: str, retry_after: int | None = None) -> ServerStatus:
        """Close the *server* for submissions, for everybody; tasks already accepted go on.

        `reason` and `retry_after` (seconds) are what refused clients are told.
        Not tried again by itself. To close connections: disconnect().
        """
        body = {"reason": reason} if retry_after is None else {"reason": reason, "retry_after": retry_after}
        answer = self._transport.call("POST", "/v1/server/close", body=body, repeatable=False)
        return ServerStatus.from_json(answer.json)

    def open(self) -> ServerStatus:
        """Open the server for submissions again.

        Not tried again by itself: a late repeat could undo somebody's close.
        """
        answer = self._transport.call("POST", "/v1/server/open", repeatable=False)
        return ServerStatus.from_json(answer.json)

    def disconnect(self) -> None:
        """Close all kept connections; the next call opens new ones."""
        self._transport.disconnect()
