"""The operations on lists and batches of tasks for /openapi.json: what there is beyond single tasks."""

from __future__ import annotations

from typing import Final

from bide.state import State
from chalice_app import limits
from chalice_app.schema_pieces import Schema

_TAG: Final = "^[a-z0-9_-]{1,64}$"

LIST_PARAMETERS: Final[list[Schema]] = [
    {
        "name": "queue",
        "in": "query",
        "description": "Of this queue alone.",
        "schema": {"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"},
    },
    {
        "name": "name",
        "in": "query",
        "description": "Of this name alone.",
        "schema": {"type": "string", "maxLength": limits.MAX_NAME_LENGTH},
    },
    {
        "name": "state",
        "in": "query",
        "description": "In this state alone. Failed tasks go by when they failed.",
        "schema": {"enum": [str(state) for state in State]},
    },
    {
        "name": "tag",
        "in": "query",
        "description": "With this tag alone.",
        "schema": {"type": "string", "pattern": _TAG},
    },
    {
        "name": "page_size",
        "in": "query",
        "description": "Tasks on a page at most.",
        "schema": {
            "type": "integer",
            "minimum": 1,
            "maximum": limits.MAX_PAGE_SIZE,
            "default": limits.PAGE_SIZE,
        },
    },
    {
        "name": "page_token",
        "in": "query",
        "description": "`next_page_token` of the page before, with the same filters.",
        "schema": {"type": "string"},
    },
]

FIELDS: Final[dict[str, Schema]] = {
    "priority": {"type": "integer", "minimum": 0, "maximum": limits.MAX_PRIORITY, "default": 0},
    "expires": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": limits.MAX_DELAY_SECONDS,
        "description": "Seconds; it is given up then, unless it has started.",
    },
    "unique": {
        "type": "string",
        "pattern": f"^[!-~]{{1,{limits.MAX_UNIQUE_LENGTH}}}$",
        "description": "One unfinished task of the queue has this value at a time.",
    },
    "tags": {
        "type": "array",
        "maxItems": limits.MAX_TAGS,
        "items": {"type": "string", "pattern": _TAG},
    },
}
"""What a submission may have beside its task's arguments and its time."""


def batch_body(submission: Schema) -> Schema:
    """The schema of a batch of what `submission` describes; each item is judged by itself."""
    return {
        "type": "object",
        "properties": {
            "items": {
                "type": "array",
                "minItems": 1,
                "maxItems": limits.MAX_BATCH,
                "description": "Submissions, each of which may have an `idempotency_key`: "
                + ", ".join(each["$ref"].rpartition("/")[2] for each in submission.get("oneOf", ())),
                "items": {},
            }
        },
        "required": ["items"],
        "additionalProperties": False,
    }
