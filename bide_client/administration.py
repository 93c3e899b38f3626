"""What those who run the server ask of it: its queues, workers, totals and gate."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from bide_client.errors import UsageError
from bide_client.operation import Operation
from bide_client.queues import Queue
from bide_client.series import Series
from bide_client.status import ServerStatus, Stats
from bide_client.transport import Transport
from bide_client.wire import objects, reading
from bide_client.workers import Worker

FOLLOW_EVERY: Final = 1.0
"""Seconds between two looks at an operation that is followed, unless the server says otherwise."""
FOLLOW_SOONEST: Final = 0.1
"""Seconds, whatever the server says."""


class Administration:
    """The part of `Client` for those who run the server. Where a key is needed, it is an operator's.

    What changes the server is not tried again by itself when its answer is
    lost: a late repeat could undo what somebody else did in between.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def server(self) -> ServerStatus:
        """Ask whether the server accepts submissions, and how many tasks are not done yet."""
        return ServerStatus.from_json(self._transport.call("GET", "/v1/server").json)

    def close(self, reason: str, retry_after: int | None = None) -> ServerStatus:
        """Close the *server* for submissions, for everybody; tasks already accepted go on.

        `reason` and `retry_after` (seconds) are what refused clients are told.
        Not tried again by itself. To close connections: disconnect().
        """
        return ServerStatus.from_json(self._change("/v1/server/close", _closing(reason, retry_after)))

    def open(self) -> ServerStatus:
        """Open the server for submissions again. Not tried again by itself."""
        return ServerStatus.from_json(self._change("/v1/server/open"))

    def drain(self, reason: str, retry_after: int | None = None) -> ServerStatus:
        """Close the server as close() does, and say how many tasks are `left`, in all and by queue.

        To see how it falls to zero, ask server().
        """
        return ServerStatus.from_json(self._change("/v1/server/drain", _closing(reason, retry_after)))

    def stats(self) -> Stats:
        """Ask what all tasks of the server came to: how they ended, what they waited, what that cost."""
        return Stats.from_json(self._transport.call("GET", "/v1/stats").json)

    def series(
        self, minutes: int = 60, *, queue: str | None = None, name: str | None = None
    ) -> tuple[Series, ...]:
        """Ask how many tasks ended in the last `minutes` (1 to 1440), and how fast they started and ran.

        One series for each task name in each queue, and one for each queue with
        `name` None; or only those of a `queue` or task `name`.
        """
        query = _query(minutes=minutes, queue=queue, name=name)
        answer = self._transport.call("GET", f"/v1/stats/series{query}")
        with reading("series"):
            return tuple(Series.from_json(part) for part in objects(answer.json["series"]))

    def workers(self) -> tuple[Worker, ...]:
        """Ask which workers there are, and what they hold."""
        answer = self._transport.call("GET", "/v1/workers")
        with reading("workers"):
            return tuple(Worker.from_json(worker) for worker in objects(answer.json["workers"]))

    def queues(self) -> tuple[Queue, ...]:
        """Ask how every queue is."""
        answer = self._transport.call("GET", "/v1/queues")
        with reading("queues"):
            return tuple(Queue.from_json(queue) for queue in objects(answer.json["queues"]))

    def queue(self, name: str) -> Queue:
        """Ask how a queue is. Raises QueueNotFound."""
        return Queue.from_json(self._transport.call("GET", _of_queue(name)).json)

    def pause(self, queue: str) -> Queue:
        """Let the queue start no more tasks; it accepts them, and those that run go on."""
        return Queue.from_json(self._change(_of_queue(queue, "pause")))

    def resume(self, queue: str) -> Queue:
        """Let the paused queue start tasks again."""
        return Queue.from_json(self._change(_of_queue(queue, "resume")))

    def redrive(
        self,
        queue: str,
        *,
        dry_run: bool = True,
        name: str | None = None,
        tag: str | None = None,
        code: str | None = None,
        rate: float | None = None,
    ) -> Operation:
        """Retry the failed tasks of a queue, at most `rate` a second; or, as a dry run, count them.

        Only those with this task `name`, `tag` and `code` of their error, where
        given. Returns as soon as the server has recorded it; follow() shows how
        it goes on.
        """
        return self._bulk(queue, "redrive", dry_run, name=name, tag=tag, code=code, rate=rate)

    def purge(
        self,
        queue: str,
        *,
        dry_run: bool = True,
        name: str | None = None,
        tag: str | None = None,
        code: str | None = None,
    ) -> Operation:
        """Erase the failed tasks of a queue, or as a dry run count them; otherwise as redrive()."""
        return self._bulk(queue, "purge", dry_run, name=name, tag=tag, code=code)

    def operation(self, id: str) -> Operation:
        """Ask how a redrive or purge is."""
        return self._operation(id)[0]

    def operations(self) -> tuple[Operation, ...]:
        """Ask for the latest redrives and purges, at most 100."""
        answer = self._transport.call("GET", "/v1/operations")
        with reading("operations"):
            return tuple(Operation.from_json(item) for item in objects(answer.json["operations"]))

    def follow(self, id: str) -> Iterator[Operation]:
        """A redrive or purge as it is now and then, the last time when it is done."""
        while True:
            operation, pause = self._operation(id)
            yield operation
            if operation.done:
                return
            time.sleep(pause)

    def _operation(self, id: str) -> tuple[Operation, float]:
        answer = self._transport.call("GET", f"/v1/operations/{_segment(id, 'operation')}")
        asked = FOLLOW_EVERY if answer.retry_after is None else answer.retry_after
        return Operation.from_json(answer.json), max(asked, FOLLOW_SOONEST)

    def _bulk(self, queue: str, kind: str, dry_run: bool, **chosen: Any) -> Operation:
        body = {"dry_run": dry_run} | {name: value for name, value in chosen.items() if value is not None}
        answer = self._transport.call("POST", _of_queue(queue, kind), body=body, repeatable=dry_run)
        return Operation.from_json(answer.json)

    def _change(self, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        return self._transport.call("POST", path, body=body, repeatable=False).json


def _closing(reason: str, retry_after: int | None) -> dict[str, Any]:
    return {"reason": reason} if retry_after is None else {"reason": reason, "retry_after": retry_after}


def _of_queue(name: str, verb: str = "") -> str:
    path = f"/v1/queues/{_segment(name, 'queue')}"
    return f"{path}/{verb}" if verb else path


def _segment(name: str, what: str) -> str:
    """A name as a part of a path; UsageError for what no path can name."""
    if name in ("", ".", ".."):
        raise UsageError(f"{name!r} is no {what}")
    return quote(name, safe="~")


def _query(**chosen: object) -> str:
    given = {name: value for name, value in chosen.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""
