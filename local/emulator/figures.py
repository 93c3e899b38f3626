"""What is counted of each function."""

from __future__ import annotations

import msgspec


class Figures(msgspec.Struct):
    """Counts since the emulator started; they outlive a new deployment of the function."""

    memory_mb: int = 0
    invocations: int = 0
    """Those that ran, retries included."""
    errors: int = 0
    """Invocations that ended in an error, `timeouts` included."""
    timeouts: int = 0
    cold_starts: int = 0
    init_ms: float = 0.0
    """Time from spawn to ready, of all cold starts."""
    billed_ms: int = 0
    """Whole milliseconds of each invocation, the start of its environment included."""
    throttles: int = 0
    recursions_stopped: int = 0
    events: int = 0
    """Asynchronous events accepted."""
    events_retried: int = 0
    events_dropped: int = 0
    """Events given up: out of retries, too old, or part of a recursion."""
    events_lost: int = 0
    """Events that chaos dropped."""
    events_doubled: int = 0
    """Events that chaos delivered twice."""
    busy: int = 0
    """Environments at work now."""
    most_busy: int = 0
    environments: int = 0
    """Processes now, frozen ones included."""
    max_rss_bytes: int = 0
    """The most memory that one environment has held."""
