"""A workload whose cost is projected, and what doing it takes besides. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from bide.variables import MEMORY_MB

MEASURED: Final = "measured by `make bench`, 2026-11-24"
ASSUMED: Final = "assumed, not measured"


@dataclass(frozen=True)
class Workload:
    """Tasks that wait, and ask for something now and then."""

    tasks: int = 1_000_000
    wait_s: float = 3600.0
    """What each task waits, all its waits together."""
    polls: int = 12
    """Parked waits of each, one after another: after each it is resumed and asks, or goes on. At least 1."""
    active_ms: float = 50.0
    """What each task is active, all in all: its own code, without what Bide adds."""
    client_polls: int = 2
    """How often its client asks for it, besides submitting it."""
    spread_s: float = 3600.0
    """Over how long the tasks are submitted, evenly at random; 0 is all at once."""
    memory_mb: int = MEMORY_MB
    """Of Bide's functions."""
    rival_memory_mb: int = 128
    """Of the function that a task would have to itself without Bide: the smallest there is by default."""
    retention_s: float = 86_400.0
    """How long a finished task is kept."""
    transitions: int = 3
    """Of a Step Functions workflow, each time that it waits and asks: the states Wait, Task and Choice."""
    operations: int = 2
    """Of a durable function for the same: a wait and a step."""
    payload_kb: float = 1.0
    """What each of these operations writes."""

    @property
    def resumes(self) -> int:
        """How often a worker takes up one of the tasks: at its start and after each wait."""
        return self.tasks * (self.polls + 1)

    @property
    def horizon_s(self) -> float:
        """From the first submission to the last end."""
        return self.spread_s + self.wait_s


def _taken(default: float, doc: str, source: str) -> Any:
    return field(default=default, metadata={"doc": doc, "source": source})


@dataclass(frozen=True)
class Overheads:
    """What doing it takes besides the tasks' own code. The source of each number is told with it."""

    life_ms: float = _taken(
        778.0, "life of a worker that is woken for one thing, its start included", f"sparse: {MEASURED}"
    )
    resume_ms: float = _taken(
        0.34, "worker's time to resume one task among many, and park it again", f"dense: {MEASURED}"
    )
    commands_alone: float = _taken(
        75.8, "store commands of a worker's life with one task to resume", f"dense: {MEASURED}"
    )
    commands_shared: float = _taken(
        0.892, "store commands to resume one task among many", f"dense: {MEASURED}"
    )
    commands_request: float = _taken(
        7.0, "store commands of one request to the API, at most", "headers of lua/submit.lua and lua/show.lua"
    )
    record_bytes: float = _taken(
        500.0,
        "memory of the store for one parked task",
        "388 measured with 100 bytes of arguments; the rest is for its journal",
    )
    api_ms: float = _taken(
        2.0, "billed time of one request to the API", f"http: 1.26 ms {MEASURED}, rounded up"
    )
    wake_ms: float = _taken(50.0, "billed time of the short function that starts a worker", ASSUMED)
    tick_ms: float = _taken(50.0, "billed time of one tick, each minute", ASSUMED)


@dataclass(frozen=True)
class Site:
    """What stands whether or not there are tasks."""

    serverless: bool = True
    """Whether the store is billed by use; otherwise by nodes."""
    nodes: int = 2
    """Of a store that is not."""
    endpoints: int = 2
    """Interface endpoints of the private subnets: for Lambda, and for SQS."""
    zones: int = 2
    """In each of which every endpoint stands."""
    nats: int = 0
    """NAT gateways, for tasks that call what is outside."""
    shards: int = 0
    """Of a Kinesis stream, where that wakes workers."""
    queue: bool = True
    """Whether there is a wake queue, which Lambda asks again and again."""
