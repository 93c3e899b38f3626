"""JSON Schemas of what the API answers about failed tasks: attempts, redrives and purges."""

from __future__ import annotations

from typing import Final

from bide.bulk import Kind, Wanted
from bide.history import Outcome
from chalice_app.schema_pieces import COUNT, TIME, TIME_OR_NULL, Schema, record

_ATTEMPT: Final = record(
    "One try of a task.",
    {
        "attempt": {"type": "integer", "minimum": 1},
        "worker": {
            "type": ["string", "null"],
            "description": "Who held it last; null when nobody does, or it is not kept.",
        },
        "started_at": TIME_OR_NULL,
        "ended_at": {**TIME_OR_NULL, "description": "Null while it goes on."},
        "outcome": {
            "type": "string",
            "description": f"One of {', '.join(Outcome)}. Later versions may have more.",
        },
        "code": {"type": ["string", "null"], "description": "Why it failed; null when it did not."},
        "message": {"type": ["string", "null"], "description": "The same for people, cut to 500 bytes."},
        "traceback": {"type": "string", "description": "Of the latest failure; for operators."},
    },
    optional=("traceback",),
)

_ATTEMPTS: Final = record(
    "A task's attempts.",
    {
        "attempts": {"type": "array", "description": "The oldest first.", "items": _ATTEMPT},
        "dropped": {
            **COUNT,
            "description": "How many are no longer kept: those that followed the first ten.",
        },
    },
)

_OPERATION: Final = record(
    "A redrive or a purge, as far as it has come.",
    {
        "id": {"type": "string"},
        "kind": {"enum": list(Kind)},
        "queue": {"type": "string"},
        "state": {"enum": ["running", "done"]},
        "dry_run": {"type": "boolean", "description": "Whether it only counts."},
        "filter": {
            "type": "object",
            "description": "Which failed tasks are meant: those that fit in every respect.",
            "properties": {field: {"type": "string"} for field in Wanted._fields},
        },
        "rate": {"type": ["number", "null"], "description": "Tasks per second; null is all at once."},
        "matched": {**COUNT, "description": "Tasks that the filter means."},
        "changed": {**COUNT, "description": "Of those, redriven or purged."},
        "skipped": {
            **COUNT,
            "description": "Of those, left as they are: another unfinished task holds the same `unique`.",
        },
        "created_at": TIME,
        "finished_at": TIME_OR_NULL,
    },
)

_OPERATIONS: Final = record(
    "The latest operations of all queues.",
    {
        "operations": {
            "type": "array",
            "description": "At most a hundred, the latest first.",
            "items": {"$ref": "#/components/schemas/Operation"},
        },
    },
)

FAILED_SCHEMAS: Final[dict[str, Schema]] = {
    "Attempts": _ATTEMPTS,
    "Operation": _OPERATION,
    "Operations": _OPERATIONS,
}
