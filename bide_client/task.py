"""The handle of one task."""

from __future__ import annotations

import math
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from bide_client import pace
from bide_client.answer import Answer
from bide_client.attempt import Attempt
from bide_client.errors import (
    ConnectionFailed,
    TaskFinished,
    TaskNotFailed,
    TaskNotFound,
    UnexpectedAnswer,
    UsageError,
)
from bide_client.log import LogLine, LogPage
from bide_client.outcomes import TaskCancelled, TaskExpired, TaskFailed, WaitTimeout
from bide_client.status import TaskStatus
from bide_client.transport import Transport, checked_key
from bide_client.wire import objects, reading

_EVENT_NAME: Final = re.compile(r"[a-z0-9_-]{1,64}")
_LOG_PAGE: Final = 100
"""Lines in one answer, the server's limit."""


class Task:
    """A task on the server: ask how it is, wait for it, fetch its result, read its log, send it an event.

    `Client.submit()` and `Client.task(id)` make it. Threads may share it. It
    holds nothing open; dropping it does nothing to the task.
    """

    def __init__(self, transport: Transport, id: str, *, prefer_wait: int) -> None:
        """`prefer_wait`: seconds the server may hold a poll of a task that is about to finish."""
        if id in ("", ".", ".."):
            raise UsageError(f"{id!r} is no task id; ids look like default~06en5yt8r3k1w9q0x7m2c4v6bz")
        self._transport = transport
        self._id = id
        self._path = f"/v1/tasks/{quote(id, safe='~')}"
        self._prefer_wait = prefer_wait
        self._seen: _Seen | None = None

    def __repr__(self) -> str:
        return f"<Task {self._id} {self._seen.status.state if self._seen else 'not asked yet'}>"

    @property
    def id(self) -> str:
        """The task's id: with it, `Client.task(id)` finds the task from anywhere."""
        return self._id

    @property
    def latest(self) -> TaskStatus | None:
        """The newest status that is known without asking; None before the first answer."""
        return self._seen.status if self._seen else None

    def status(self) -> TaskStatus:
        """Ask the server how the task is now (an unchanged task costs an empty 304)."""
        return self._poll()

    def wait(self, timeout: float | None = None) -> TaskStatus:
        """Return the final status as soon as the task is done, however it ended.

        Raises WaitTimeout after `timeout` seconds (None: never; 0: ask once);
        the task goes on, and wait() may be called again. A server that does not
        answer can make that a second later.
        """
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            seen = self._seen
            if seen is not None:
                if seen.status.done:
                    return seen.status
                time.sleep(max(0.0, min(seen.due, deadline) - time.monotonic()))
            last = time.monotonic() >= deadline
            try:
                status = self._poll(hold=self._hold(seen, deadline), deadline=deadline)
            except ConnectionFailed as error:
                if error.timed_out and time.monotonic() >= deadline:
                    raise WaitTimeout(self._id, timeout or 0.0, self.latest) from error
                raise
            if last and not status.done:
                raise WaitTimeout(self._id, timeout or 0.0, status)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the task and return its result.

        Raises TaskFailed, TaskExpired or TaskCancelled when it has none, WaitTimeout as wait() does.
        """
        status = self.wait(timeout)
        if status.state == "succeeded":
            return status.result
        if status.state == "cancelled":
            raise TaskCancelled(status)
        if status.state == "expired":
            raise TaskExpired(status)
        raise TaskFailed(status)

    def send_event(self, name: str, body: Any = None, *, idempotency_key: str | None = None) -> TaskStatus:
        """Send the task the event `name` with `body`, any JSON; return its status.

        Returns as soon as the server has recorded it; the task reads it when it
        asks for an event of that name, sooner or later. It carries an
        Idempotency-Key, so that it counts once however often it is tried; two
        events with one `idempotency_key` of yours are one event. Raises
        TaskFinished when the task is done, InboxFull when it has too many
        events that it has not read, IdempotencyConflict; UsageError for a name
        that no event can have, or a body that JSON cannot carry.
        """
        if not _EVENT_NAME.fullmatch(name):
            raise UsageError(f"{name!r} is no event name: 1 to 64 of the characters a-z, 0-9, _ and -")
        key = str(uuid.uuid4()) if idempotency_key is None else checked_key(idempotency_key)
        try:
            answer = self._transport.call(
                "POST", f"{self._path}/events/{name}", body=body, headers={"Idempotency-Key": key}
            )
        except TaskFinished as error:
            if error.attempts > 1:
                error.add_note("Perhaps an earlier try was recorded before the task finished.")
            raise
        return self.learn(answer)

    def cancel(self) -> TaskStatus:
        """Cancel the task and return its status.

        One that is not running is cancelled at once (`done`); a running one is
        asked to stop, and wait() shows how it ended. Raises TaskFinished when
        the task was done already.
        """
        try:
            answer = self._transport.call("POST", f"{self._path}/cancel")
        except TaskFinished as error:
            # An earlier try may have cancelled it, and only the answer was lost.
            if error.attempts > 1 and (status := self.status()).state == "cancelled":
                return status
            raise
        return self.learn(answer)

    def retry(self) -> TaskStatus:
        """Run the failed task again, with all its attempts anew, and return its status.

        Raises TaskNotFailed when it is in any other state, NotUnique when
        another unfinished task has its `unique` value by now.
        """
        try:
            answer = self._transport.call("POST", f"{self._path}/retry")
        except TaskNotFailed as error:
            # An earlier try may have done it, and only the answer was lost.
            if error.attempts > 1:
                self._seen = None
                return self.status()
            raise
        self._seen = None
        return self.learn(answer)

    def delete(self) -> None:
        """Erase the finished task, with its result and log. Raises TaskNotFinished when it is not done."""
        try:
            self._transport.call("DELETE", self._path)
        except TaskNotFound as error:
            if error.attempts == 1:
                raise

    def attempts(self) -> tuple[Attempt, ...]:
        """Ask what each attempt came to, oldest first."""
        answer = self._transport.call("GET", f"{self._path}/attempts")
        with reading("attempts"):
            return tuple(Attempt.from_json(attempt) for attempt in objects(answer.json["attempts"]))

    def log(self, after: int = 0) -> LogPage:
        """Ask for up to 100 lines of the task's log, those that follow the line numbered `after`.

        It needs an operator's key.
        """
        answer = self._transport.call("GET", f"{self._path}/log?after={after:d}&page_size={_LOG_PAGE}")
        return LogPage.from_json(answer.json, answer.retry_after)

    def log_pages(self, after: int = 0) -> Iterator[LogPage]:
        """The log page by page, as it is written, until the task is done and all is read."""
        while True:
            page = self.log(after)
            yield page
            if page.done and not page.lines:
                return
            if page.lines and page.next <= after:
                raise UnexpectedAnswer("The server's log does not go on: its next page is the same one")
            if not page.done and len(page.lines) < _LOG_PAGE:
                time.sleep(pace.log_pause(page.retry_after or 0.0))
            after = page.next

    def tail(self, after: int = 0) -> Iterator[LogLine]:
        """The lines of the log, as they are written, until the task is done and all are read."""
        for page in self.log_pages(after):
            yield from page.lines

    def learn(self, answer: Answer) -> TaskStatus:
        """Take in an answer that shows the task, and return its status. For the client's own use."""
        before = self._seen
        if answer.status == 304 and before is not None:
            status, etag = before.status, before.etag
        else:
            status, etag = TaskStatus.from_json(answer.json), answer.etag
        retry_after = answer.retry_after or 0.0
        zeros = 0 if retry_after else (before.zeros if before else 0) + 1
        due = time.monotonic() + pace.pause(retry_after, zeros, answer.took, holding=self._prefer_wait > 0)
        if before is None or not before.status.done:
            self._seen = _Seen(status, etag, zeros, due)
        return status

    def _poll(self, *, hold: int = 0, deadline: float = math.inf) -> TaskStatus:
        seen = self._seen
        headers = {"If-None-Match": seen.etag} if seen and seen.etag else {}
        return self.learn(
            self._transport.call("GET", self._path, headers=headers, hold=hold, deadline=deadline)
        )

    def _hold(self, seen: _Seen | None, deadline: float) -> int:
        """Whole seconds to ask the server to hold the next poll: some only where it said "very soon".

        Elsewhere a held request would keep the server running while nothing happens.
        """
        if seen is None or not seen.zeros:
            return 0
        return max(0, int(min(self._prefer_wait, deadline - time.monotonic())))


@dataclass(frozen=True)
class _Seen:
    """The latest answer. `zeros` in a row said Retry-After: 0; `due` (time.monotonic()) is the next poll."""

    status: TaskStatus
    etag: str | None
    zeros: int
    due: float
