"""JSON Schemas of what the API answers about the server as a whole, for /openapi.json."""

from __future__ import annotations

from typing import Final

from bide.state import State
from chalice_app.schema_pieces import COUNT, TIME, TIME_OR_NULL, Schema, record

_SERVER: Final = record(
    "Whether the server accepts submissions.",
    {
        "accepting": {"type": "boolean"},
        "reason": {"type": "string", "description": "Why it does not; empty when it does."},
        "retry_after": {"type": ["integer", "null"], "description": "Seconds that refused clients are told."},
        "epoch": {"type": "integer", "description": "Grows with every change."},
        "changed_at": TIME_OR_NULL,
        "left": {**COUNT, "description": "Tasks that have not finished."},
        "queues": {
            "type": "array",
            "description": "What is left by queue; of a drain alone.",
            "items": record("One queue.", {"queue": {"type": "string"}, "left": COUNT}),
        },
    },
    optional=("queues",),
)

_QUEUE: Final = record(
    "A queue as it stood when the server answered.",
    {
        "queue": {"type": "string"},
        "paused": {"type": "boolean", "description": "Whether it leases nothing."},
        "tasks": record("How many are in each state.", dict.fromkeys(State, COUNT)),
        "oldest_ready_ms": {
            "type": ["integer", "null"],
            "minimum": 0,
            "description": "For how long the task has waited that has been ready longest.",
        },
    },
)

_QUEUES: Final = record(
    "Every queue that may be, or has been, submitted to.",
    {"queues": {"type": "array", "description": "Sorted by name.", "items": _QUEUE}},
)

_CREW: Final = record(
    "The workers, those that have lived longest first.",
    {
        "workers": {
            "type": "array",
            "items": record(
                "One worker.",
                {
                    "worker": {"type": "string"},
                    "role": {"enum": ["working", "standby", "leaving"]},
                    "age_ms": COUNT,
                    "heard_ms": {**COUNT, "description": "Since it was last heard of."},
                    "places_free": COUNT,
                    "tasks": {
                        "type": "array",
                        "description": "Tasks that it holds, of the caller's tenant; an operator sees all.",
                        "items": record(
                            "One task.",
                            {
                                "id": {"type": "string"},
                                "name": {"type": "string"},
                                "attempt": COUNT,
                                "lease_ms": {**COUNT, "description": "Until its lease ends."},
                                "running_ms": {**COUNT, "description": "Since the attempt began."},
                            },
                        ),
                    },
                    "tasks_total": {**COUNT, "description": "All that it holds, of everybody."},
                },
            ),
        }
    },
)

_DOLLARS: Final[Schema] = {"type": "number", "minimum": 0}

_SUMS: Final[dict[str, Schema]] = {
    "tasks": record(
        "How many ended in each way.",
        {state: COUNT for state in State if state.done},
    ),
    "waited_ms": {**COUNT, "description": "Time in waits."},
    "billed_ms": {
        "type": "number",
        "minimum": 0,
        "description": "The tasks' active shares of their workers' time.",
    },
    "replays": {**COUNT, "description": "How often tasks were resumed."},
    "polls": {**COUNT, "description": "How often something was polled for a task."},
    "poller_calls": {**COUNT, "description": "Calls of shared pollers."},
    "cost_usd": {**_DOLLARS, "description": "What `billed_ms` costs, by the prices that are set."},
}
"""What tasks came to."""

_WORKERS: Final[dict[str, Schema]] = {
    "worker_ms": {**COUNT, "description": "Time that workers lived, from the start of the process."},
    "worker_starts": {**COUNT, "description": "Workers that were started."},
    "paid_usd": {**_DOLLARS, "description": "What workers cost, idle or not: `worker_ms` and the starts."},
}
"""What workers came to; all queues share them."""

_SEEN: Final[dict[str, Schema]] = {
    "ready": {**COUNT, "description": "Tasks that wait for a worker."},
    "awake": {**COUNT, "description": "Workers that may lease."},
    "free": {**COUNT, "description": "Free places on them."},
    "starting": {**COUNT, "description": "Workers that were started and not heard of yet."},
}
"""What the autoscaler sees of a queue."""

_DECISION: Final = record(
    "A decision, with what was seen when it was taken.",
    {
        "at": TIME,
        "reason": {"type": "string", "description": "Why; docs/scaling.md lists them."},
        "workers": {"type": "integer", "description": "Workers to start, or -1 for one that left."},
        **_SEEN,
    },
)

_SCALING: Final = record(
    "What the autoscaler sees of each queue, and what was decided.",
    {
        "queues": {
            "type": "array",
            "description": "Sorted by name.",
            "items": record(
                "One queue.",
                {
                    "queue": {"type": "string"},
                    **_SEEN,
                    "limits": record(
                        "Workers at least and at most, and tasks that each runs at once.",
                        {"min": COUNT, "max": COUNT, "concurrency": COUNT},
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

_STATS: Final = record(
    "What all tasks came to, of every tenant, since the store was made.",
    {
        **_SUMS,
        **_WORKERS,
        "memory_mb": {**COUNT, "description": "Memory of a worker that dollars are told by."},
        "summary": {"type": "string", "description": "Waited and billed time, for people."},
        "queues": {
            "type": "array",
            "description": "By queue, sorted by name.",
            "items": record("One queue.", {"queue": {"type": "string"}, **_SUMS}),
        },
        "days": {
            "type": "array",
            "description": "The last 31 days (UTC), the latest first; those without anything are left out.",
            "items": record("One day.", {"day": {"type": "string", "format": "date"}, **_SUMS, **_WORKERS}),
        },
    },
)

_HEALTH: Final = record(
    "The server can work. Without a key that is all it says.",
    {
        "status": {"const": "ok"},
        "store": record(
            "What the store says of itself.",
            {
                "server": {"type": "string"},
                "version": {"type": "string"},
                "durability": {"type": "string", "description": "What its death would spare."},
                "ping_ms": {"type": "number"},
            },
        ),
        "tasks": record(
            "The registered tasks.",
            {
                "registered": {"type": "integer"},
                "problems": {"type": "array", "items": {"type": "string"}},
            },
        ),
    },
    optional=("store", "tasks"),
)

_LINKS: Final = record(
    "Where to go on.",
    {
        "service": {"const": "bide"},
        "links": {"type": "object", "additionalProperties": {"type": "string"}},
    },
)

SERVER_SCHEMAS: Final[dict[str, Schema]] = {
    "Server": _SERVER,
    "Queue": _QUEUE,
    "Queues": _QUEUES,
    "Workers": _CREW,
    "Stats": _STATS,
    "Scaling": _SCALING,
    "Health": _HEALTH,
    "Links": _LINKS,
}
