"""Lists of tasks, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlencode

from bide_client.errors import UnexpectedAnswer, UsageError
from bide_client.status import TaskStatus
from bide_client.transport import Transport
from bide_client.wire import objects, reading, text_or_none

LONGEST_PAGE: Final = 100
"""Tasks, the server's limit."""


def pages(
    transport: Transport,
    *,
    queue: str | None,
    name: str | None,
    state: str | None,
    tag: str | None,
    page_size: int,
) -> Iterator[tuple[TaskStatus, ...]]:
    """Pages of the tasks that fit, newest first; some may be empty. Each is asked for when it is wanted.

    Raises UsageError, UnexpectedAnswer, and what Transport.call() raises.
    """
    if page_size not in range(1, LONGEST_PAGE + 1):
        raise UsageError(f"page_size must be from 1 to {LONGEST_PAGE}, not {page_size!r}")
    chosen = {"queue": queue, "name": name, "state": state, "tag": tag, "page_size": str(page_size)}
    return _pages(transport, {key: value for key, value in chosen.items() if value is not None})


def _pages(transport: Transport, query: dict[str, str]) -> Iterator[tuple[TaskStatus, ...]]:
    while True:
        answer = transport.call("GET", f"/v1/tasks?{urlencode(query)}")
        with reading("a list of tasks"):
            found = tuple(TaskStatus.from_json(task) for task in objects(answer.json["tasks"]))
            token = text_or_none(answer.json.get("next_page_token"))
        yield found
        if token is None:
            return
        if query.get("page_token") == token:
            raise UnexpectedAnswer("The server's list of tasks does not go on: its next page is the same one")
        query["page_token"] = token
