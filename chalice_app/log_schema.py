"""JSON Schema of a page of a task's log, for /openapi.json."""

from __future__ import annotations

from typing import Any, Final

_TEXT_OR_NULL: Final = {"type": ["string", "null"]}

_LINE: Final[dict[str, Any]] = {
    "number": {"type": "integer", "minimum": 1},
    "at": {"type": "string", "format": "date-time"},
    "kind": {"enum": ["log", "progress", "event"]},
    "attempt": {"type": ["integer", "null"], "minimum": 1},
    "level": {**_TEXT_OR_NULL, "description": "Of a log line, such as INFO."},
    "logger": _TEXT_OR_NULL,
    "message": {
        **_TEXT_OR_NULL,
        "description": "What was logged, said with the progress, or the event's name.",
    },
    "fraction": {"type": ["number", "null"], "description": "Of a progress line."},
}

_PAGE: Final[dict[str, Any]] = {
    "lines": {
        "type": "array",
        "items": {
            "type": "object",
            "description": "One line.",
            "properties": _LINE,
            "required": list(_LINE),
        },
    },
    "next": {"type": "integer", "minimum": 0, "description": "Where the next page begins: `after`."},
    "dropped": {
        "type": "integer",
        "minimum": 0,
        "description": "Lines that followed `after` and are not kept any more.",
    },
    "done": {"type": "boolean", "description": "Whether the task is done, and logs no more."},
}

LOG: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A page of a task's log.",
    "properties": _PAGE,
    "required": list(_PAGE),
}
