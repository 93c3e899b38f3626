"""A task's log: what it has logged, its progress and its events, page by page."""

from __future__ import annotations

from typing import Final

import msgspec
from chalice.app import Response

from bide.line import Kind, Line
from bide.reads import LogPage
from chalice_app import query, wire
from chalice_app.limits import LOG_RETRY_AFTER, MAX_LINE_NUMBER, MAX_LINES
from chalice_app.requests import task_id
from chalice_app.routing import Call, Routes

routes: Final = Routes()


class LineJson(msgspec.Struct, frozen=True):
    """A line on the wire. docs/http-api.md describes each field."""

    number: int
    at: str | None
    kind: str
    attempt: int | None
    level: str | None
    logger: str | None
    message: str | None
    fraction: float | None


class LogJson(msgspec.Struct, frozen=True):
    """A page of lines on the wire."""

    lines: tuple[LineJson, ...]
    next: int
    dropped: int
    done: bool


_encode: Final = msgspec.json.Encoder().encode


@routes.get("/v1/tasks/{id}/log", operator=True)
def show_log(call: Call, id: str) -> Response:
    """Show the lines that follow the one numbered `after`, at once: whoever tails a log asks again."""
    asked = task_id(id)
    given = query.parameters(call.request, ("after", "page_size"))
    after = query.integer(given, "after", 0, MAX_LINE_NUMBER, 0)
    most = query.integer(given, "page_size", 1, MAX_LINES, MAX_LINES)
    page = call.services.reads.lines(asked, call.tenant, after, most)
    return wire.respond(200, _log_json(page), {} if page.done else {"Retry-After": str(LOG_RETRY_AFTER)})


def _log_json(page: LogPage) -> bytes:
    lines = tuple(_line_json(number, line) for number, line in page.lines)
    return _encode(LogJson(lines, page.next, page.dropped, page.done))


def _line_json(number: int, line: Line) -> LineJson:
    return LineJson(
        number=number,
        at=wire.time_text(line.at_ms),
        kind=line.kind.name.lower(),
        attempt=line.attempt or None,
        level=line.level or None,
        logger=line.logger or None,
        message=line.message if line.kind is Kind.LOG else line.message or None,
        fraction=line.fraction,
    )
