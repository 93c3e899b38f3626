"""JSON Schemas of what the API answers, for /openapi.json."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from bide.state import State
from chalice_app.series import ChartJson

Schema = dict[str, Any]

_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_TIME_OR_NULL: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}


def _record(description: str, properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """An object that may have more properties in later versions."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "description": description, "properties": properties, "required": required}


_ERROR: Final = _record(
    "Why an attempt failed.",
    {"code": {"type": "string"}, "message": {"type": "string"}, "traceback": {"type": "string"}},
    optional=("traceback",),
)

_PROGRESS: Final = _record(
    "How far a task has come.",
    {"fraction": {"type": ["number", "null"]}, "message": {"type": ["string", "null"]}},
)

_TASK: Final = _record(
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
        "submitted_at": _TIME,
        "started_at": _TIME_OR_NULL,
        "finished_at": _TIME_OR_NULL,
        "run_at": {
            **_TIME_OR_NULL,
            "description": "When it was, or is, due: to start, or at the latest to go on; null for at once.",
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

_SERVER: Final = _record(
    "Whether the server accepts submissions.",
    {
        "accepting": {"type": "boolean"},
        "reason": {"type": "string", "description": "Why it does not; empty when it does."},
        "retry_after": {"type": ["integer", "null"], "description": "Seconds that refused clients are told."},
        "epoch": {"type": "integer", "description": "Grows with every change."},
        "changed_at": _TIME_OR_NULL,
        "left": {**_COUNT, "description": "Tasks that have not finished."},
        "queues": {
            "type": "array",
            "description": "What is left by queue; of a drain alone.",
            "items": _record("One queue.", {"queue": {"type": "string"}, "left": _COUNT}),
        },
    },
    optional=("queues",),
)

_QUEUE: Final = _record(
    "A queue as it stood when the server answered.",
    {
        "queue": {"type": "string"},
        "paused": {"type": "boolean", "description": "Whether it leases nothing."},
        "tasks": _record("How many are in each state.", dict.fromkeys(State, _COUNT)),
        "oldest_ready_ms": {
            "type": ["integer", "null"],
            "minimum": 0,
            "description": "For how long the task has waited that has been ready longest.",
        },
    },
)

_QUEUES: Final = _record(
    "Every queue that may be, or has been, submitted to.",
    {"queues": {"type": "array", "description": "Sorted by name.", "items": _QUEUE}},
)

_CREW: Final = _record(
    "The workers, those that have lived longest first.",
    {
        "workers": {
            "type": "array",
            "items": _record(
                "One worker.",
                {
                    "worker": {"type": "string"},
                    "role": {"enum": ["working", "standby", "leaving"]},
                    "age_ms": _COUNT,
                    "heard_ms": {**_COUNT, "description": "Since it was last heard of."},
                    "places_free": _COUNT,
                    "tasks": {
                        "type": "array",
                        "description": "Tasks that it holds, of the caller's tenant; an operator sees all.",
                        "items": _record(
                            "One task.",
                            {
                                "id": {"type": "string"},
                                "name": {"type": "string"},
                                "attempt": _COUNT,
                                "lease_ms": {**_COUNT, "description": "Until its lease ends."},
                                "running_ms": {**_COUNT, "description": "Since the attempt began."},
                            },
                        ),
                    },
                    "tasks_total": {**_COUNT, "description": "All that it holds, of everybody."},
                },
            ),
        }
    },
)

_DOLLARS: Final[Schema] = {"type": "number", "minimum": 0}

_SUMS: Final[dict[str, Schema]] = {
    "tasks": _record(
        "How many ended in each way.",
        {state: _COUNT for state in State if state.done},
    ),
    "waited_ms": {**_COUNT, "description": "Time in waits."},
    "billed_ms": {
        "type": "number",
        "minimum": 0,
        "description": "The tasks' active shares of their workers' time.",
    },
    "replays": {**_COUNT, "description": "How often tasks were resumed."},
    "polls": {**_COUNT, "description": "How often something was polled for a task."},
    "poller_calls": {**_COUNT, "description": "Calls of shared pollers."},
    "cost_usd": {**_DOLLARS, "description": "What `billed_ms` costs, by the prices that are set."},
}
"""What tasks came to."""

_WORKERS: Final[dict[str, Schema]] = {
    "worker_ms": {**_COUNT, "description": "Time that workers lived, from the start of the process."},
    "worker_starts": {**_COUNT, "description": "Workers that were started."},
    "paid_usd": {**_DOLLARS, "description": "What workers cost, idle or not: `worker_ms` and the starts."},
}
"""What workers came to; all queues share them."""

_SEEN: Final[dict[str, Schema]] = {
    "ready": {**_COUNT, "description": "Tasks that wait for a worker."},
    "awake": {**_COUNT, "description": "Workers that may lease."},
    "free": {**_COUNT, "description": "Free places on them."},
    "starting": {**_COUNT, "description": "Workers that were started and not heard of yet."},
}
"""What the autoscaler sees of a queue."""

_DECISION: Final = _record(
    "A decision, with what was seen when it was taken.",
    {
        "at": _TIME,
        "reason": {"type": "string", "description": "Why; docs/scaling.md lists them."},
        "workers": {"type": "integer", "description": "Workers to start, or -1 for one that left."},
        **_SEEN,
    },
)

_SCALING: Final = _record(
    "What the autoscaler sees of each queue, and what was decided.",
    {
        "queues": {
            "type": "array",
            "description": "Sorted by name.",
            "items": _record(
                "One queue.",
                {
                    "queue": {"type": "string"},
                    **_SEEN,
                    "limits": _record(
                        "Workers at least and at most, and tasks that each runs at once.",
                        {"min": _COUNT, "max": _COUNT, "concurrency": _COUNT},
                    ),
                    "decisions": {
                        "type": "array",
                        "description": "The last hundred, the latest first.",
                        "items": _DECISION,
                    },
                },
            ),
        },
    },
)

_STATS: Final = _record(
    "What all tasks came to, of every tenant, since the store was made.",
    {
        **_SUMS,
        **_WORKERS,
        "memory_mb": {**_COUNT, "description": "Memory of a worker that dollars are told by."},
        "summary": {"type": "string", "description": "Waited and billed time, for people."},
        "queues": {
            "type": "array",
            "description": "By queue, sorted by name.",
            "items": _record("One queue.", {"queue": {"type": "string"}, **_SUMS}),
        },
        "days": {
            "type": "array",
            "description": "The last 31 days (UTC), the latest first; those without anything are left out.",
            "items": _record("One day.", {"day": {"type": "string", "format": "date"}, **_SUMS, **_WORKERS}),
        },
    },
)

_HEALTH: Final = _record(
    "The server can work.",
    {
        "status": {"const": "ok"},
        "store": _record(
            "What the store says of itself.",
            {
                "server": {"type": "string"},
                "version": {"type": "string"},
                "durability": {"type": "string", "description": "What its death would spare."},
                "ping_ms": {"type": "number"},
            },
        ),
        "tasks": _record(
            "The registered tasks.",
            {
                "registered": {"type": "integer"},
                "problems": {"type": "array", "items": {"type": "string"}},
            },
        ),
    },
)

_LINKS: Final = _record(
    "Where to go on.",
    {
        "service": {"const": "bide"},
        "links": {"type": "object", "additionalProperties": {"type": "string"}},
    },
)

_PROBLEM: Final = _record(
    "What went wrong (RFC 9457).",
    {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "What went wrong, in one stable word."},
        "errors": {
            "type": "array",
            "items": _record(
                "What is wrong with one field.",
                {
                    "pointer": {"type": "string", "description": "JSON pointer (RFC 6901) into the body."},
                    "detail": {"type": "string"},
                },
            ),
        },
        "request_id": {"type": "string", "description": "Names the request in the server's log."},
    },
    optional=("errors", "request_id"),
)

_, _SERIES = msgspec.json.schema_components([ChartJson], ref_template="#/components/schemas/{name}")

SCHEMAS: Final[dict[str, Schema]] = {
    "Task": _TASK,
    "Server": _SERVER,
    "Queue": _QUEUE,
    "Queues": _QUEUES,
    "Workers": _CREW,
    "Stats": _STATS,
    **_SERIES,
    "Scaling": _SCALING,
    "Health": _HEALTH,
    "Links": _LINKS,
    "Problem": _PROBLEM,
}
