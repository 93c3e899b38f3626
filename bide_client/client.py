"""The entrance: one client for one server."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final

from bide_client import batch, listing
from bide_client.administration import Administration
from bide_client.errors import ProblemError, UsageError
from bide_client.status import TaskStatus
from bide_client.submission import LONGEST_HOLD, Options, Submission, Submitter
from bide_client.task import Task
from bide_client.transport import Transport

DEFAULT_URL: Final = "http://127.0.0.1:8000"


def chosen_url(url: str | None) -> str:
    """The server's URL: this one, else BIDE_URL, else the default."""
    return url or os.environ.get("BIDE_URL") or DEFAULT_URL


class Client(Administration):
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
        transport = Transport(
            chosen_url(url),
            key or os.environ.get("BIDE_KEY") or None,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            patience=patience,
            retry_closed=retry_closed,
        )
        super().__init__(transport)

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
        priority: int | None = None,
        expires: float | timedelta | None = None,
        unique: str | None = None,
        tags: Sequence[str] = (),
        idempotency_key: str | None = None,
        wait: int | None = None,
    ) -> Submitter:
        """What submits with these options; they stand apart so that a task's arguments may have any name.

        client.options(queue="slow", delay=60).submit("echo", queue="mine", delay="yours")

        See Options for their meaning. Raises UsageError for options that cannot be.
        """
        options = Options(
            queue=queue,
            delay=delay,
            run_at=run_at,
            priority=priority,
            expires=expires,
            unique=unique,
            tags=tags,
            idempotency_key=idempotency_key,
            wait=wait,
        )
        return Submitter(self._transport, options, prefer_wait=self._prefer_wait)

    def prepare(self, name: str, /, **args: Any) -> Submission:
        """The task `name` with `args`, to be submitted with others by submit_many(); asks nothing."""
        return self.options().prepare(name, **args)

    def submit_many(self, submissions: Iterable[Submission]) -> list[Task | ProblemError]:
        """Submit 1 to 100 tasks in one request; for each, in order, its handle or its problem.

        client.submit_many([client.prepare("echo", value=value) for value in range(100)])

        One problem does not keep the others from being recorded. Raises what
        concerns all of them: a Refused, a ServerFault or ConnectionFailed,
        UsageError. Every task carries an Idempotency-Key, so the request is made
        again safely when the connection breaks.
        """
        return batch.submit_many(self._transport, submissions, prefer_wait=self._prefer_wait)

    def tasks(
        self,
        *,
        queue: str | None = None,
        name: str | None = None,
        state: str | None = None,
        tag: str | None = None,
        page_size: int = 50,
    ) -> Iterator[TaskStatus]:
        """The tasks that fit, newest first, without their `args` and `result`.

        It asks for a page of up to `page_size` (1 to 100) when the one before is
        read to its end, so that what is not read is not asked for.
        """
        return itertools.chain.from_iterable(
            self.task_pages(queue=queue, name=name, state=state, tag=tag, page_size=page_size)
        )

    def task_pages(
        self,
        *,
        queue: str | None = None,
        name: str | None = None,
        state: str | None = None,
        tag: str | None = None,
        page_size: int = 50,
    ) -> Iterator[tuple[TaskStatus, ...]]:
        """The same page by page, as the server finds them; some pages may be empty."""
        return listing.pages(
            self._transport, queue=queue, name=name, state=state, tag=tag, page_size=page_size
        )

    def task(self, id: str) -> Task:
        """The handle of a task whose id is known. Asks nothing: an unknown id shows at the first question."""
        return Task(self._transport, id, prefer_wait=self._prefer_wait)

    def send_event(
        self, task_id: str, name: str, body: Any = None, *, idempotency_key: str | None = None
    ) -> TaskStatus:
        """Send a task whose id is known an event; see Task.send_event()."""
        return self.task(task_id).send_event(name, body, idempotency_key=idempotency_key)

    def disconnect(self) -> None:
        """Close all kept connections; the next call opens new ones."""
        self._transport.disconnect()
