"""JSON Schemas of what the API answers, for /openapi.json."""

from __future__ import annotations

from typing import Final

import msgspec

from bide.state import State
from chalice_app.failed_schemas import FAILED_SCHEMAS
from chalice_app.log_schema import LOG
from chalice_app.schema_pieces import COUNT, TIME, TIME_OR_NULL, Schema, record
from chalice_app.series import ChartJson
from chalice_app.server_schemas import SERVER_SCHEMAS

_ERROR: Final = record(
    "Why an attempt failed.",
    {"code": {"type": "string"}, "message": {"type": "string"}, "traceback": {"type": "string"}},
    optional=("traceback",),
)

_PROGRESS: Final = record(
    "How far a task has come.",
    {"fraction": {"type": ["number", "null"]}, "message": {"type": ["string", "null"]}},
)

_TASK: Final = record(
    "A task as it stood when the server answered.",
    {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "queue": {"type": "string"},
        "state": {
            "type": "string",
            "description": f"One of {', '.join(State)}. Later versions have more: rely on `done`.",
        },
        "done": {"type": "boolean", "description": "Whether the state is final."},
        "args": {"type": "object"},
        "result": {"description": "What the task returned; null until it has succeeded."},
        "error": {
            "description": "Why the latest attempt failed; null when none did, or the task has succeeded.",
            "oneOf": [{"type": "null"}, _ERROR],
        },
        "attempt": {"type": "integer", "minimum": 0, "description": "Attempts begun."},
        "max_attempts": {"type": "integer", "minimum": 1},
        "priority": {"type": "integer", "minimum": 0, "maximum": 9, "description": "9 is first."},
        "tags": {"type": "array", "items": {"type": "string"}},
        "unique": {
            "type": ["string", "null"],
            "description": "No other task with this value may be unfinished.",
        },
        "submitted_at": TIME,
        "started_at": TIME_OR_NULL,
        "finished_at": TIME_OR_NULL,
        "run_at": {
            **TIME_OR_NULL,
            "description": "When it was, or is, due: to start, or at the latest to go on; null for at once.",
        },
        "expires_at": {
            **TIME_OR_NULL,
            "description": "When it is given up unless it has started; null for never.",
        },
        "progress": {
            "description": "What the task last said of itself; null when it has not.",
            "oneOf": [{"type": "null"}, _PROGRESS],
        },
        "billed_ms": {
            "type": "number",
            "minimum": 0,
            "description": "Its active share of its workers' time.",
        },
        "waited_ms": {
            "type": "integer",
            "minimum": 0,
            "description": "Time in waits. Grows while it is parked, under the same ETag.",
        },
        "replays": {"type": "integer", "minimum": 0, "description": "How often it was resumed."},
        "polls": {"type": "integer", "minimum": 0, "description": "How often something was polled for it."},
        "cost_usd": {
            "type": "number",
            "minimum": 0,
            "description": "What `billed_ms` costs, by the prices that are set.",
        },
    },
)

_PROBLEM: Final = record(
    "What went wrong (RFC 9457).",
    {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "What went wrong, in one stable word."},
        "errors": {
            "type": "array",
            "items": record(
                "What is wrong with one field.",
                {
                    "pointer": {"type": "string", "description": "JSON pointer (RFC 6901) into the body."},
                    "detail": {"type": "string"},
                },
            ),
        },
        "task": {"type": "string", "description": "Of NOT_UNIQUE: the task that has the value."},
        "request_id": {"type": "string", "description": "Names the request in the server's log."},
    },
    optional=("errors", "task", "request_id"),
)

_TASK_PAGE: Final = record(
    "Some of the tasks.",
    {
        "tasks": {
            "type": "array",
            "description": "Without `args` and `result`.",
            "items": {
                **_TASK,
                "properties": {k: v for k, v in _TASK["properties"].items() if k not in ("args", "result")},
                "required": [name for name in _TASK["required"] if name not in ("args", "result")],
            },
        },
        "next_page_token": {
            "type": ["string", "null"],
            "description": "For the next page; null after the last.",
        },
    },
)


def _item(description: str, name: str, schema: str) -> Schema:
    wait = {**COUNT, "description": "Seconds, as Retry-After has them where it is submitted alone."}
    properties = {name: {"$ref": f"#/components/schemas/{schema}"}, "retry_after": wait}
    return record(description, properties, optional=("retry_after",))


_BATCH: Final = record(
    "What became of each submission, in their order.",
    {
        "items": {
            "type": "array",
            "items": {
                "oneOf": [
                    _item("It is recorded.", "task", "Task"),
                    _item("It is refused.", "problem", "Problem"),
                ]
            },
        },
    },
)

_, _SERIES = msgspec.json.schema_components([ChartJson], ref_template="#/components/schemas/{name}")

SCHEMAS: Final[dict[str, Schema]] = {
    "Task": _TASK,
    "TaskPage": _TASK_PAGE,
    "Batch": _BATCH,
    "Log": LOG,
    **_SERIES,
    "Problem": _PROBLEM,
    **FAILED_SCHEMAS,
    **SERVER_SCHEMAS,
}
