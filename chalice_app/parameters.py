"""The parameters of the API's operations for /openapi.json."""

from __future__ import annotations

from typing import Final

from chalice_app import limits
from chalice_app.schema_pieces import Schema

ID: Final[Schema] = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[a-z0-9_-]{1,64}~[0-9a-v]{26}$"},
}
KEY: Final[Schema] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A repeat with the same key and body is answered with the task of the first.",
    "schema": {"type": "string", "pattern": f"^[!-~]{{1,{limits.MAX_KEY_LENGTH}}}$"},
}
OPERATION_ID: Final[Schema] = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[a-z0-9_-]{1,64}~op-[0-9a-v]{26}$"},
}
EVENT_NAME: Final[Schema] = {
    "name": "name",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": f"^[a-z0-9_-]{{1,{limits.MAX_EVENT_NAME_LENGTH}}}$"},
}
QUEUE_NAME: Final[Schema] = {
    "name": "queue",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"},
}
EVENT_KEY: Final[Schema] = {
    **KEY,
    "description": "A repeat with the same key, name and body reaches the task once. "
    "Keys belong to the task.",
}
PREFER: Final[Schema] = {
    "name": "Prefer",
    "in": "header",
    "description": f"`wait=n` (RFC 7240): answer when the task is done, or after n seconds; "
    f"at most {limits.MAX_WAIT_SECONDS}.",
    "schema": {"type": "string"},
    "example": "wait=5",
}
LOG_PAGE: Final[tuple[Schema, ...]] = (
    {
        "name": "after",
        "in": "query",
        "description": "The number of the last line that was read: `next` of the last page.",
        "schema": {"type": "integer", "minimum": 0, "maximum": limits.MAX_LINE_NUMBER, "default": 0},
    },
    {
        "name": "page_size",
        "in": "query",
        "description": "Lines to answer with at most.",
        "schema": {
            "type": "integer",
            "minimum": 1,
            "maximum": limits.MAX_LINES,
            "default": limits.MAX_LINES,
        },
    },
)
IF_NONE_MATCH: Final[Schema] = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of the last answer: 304 while the task has not changed.",
    "schema": {"type": "string"},
}
