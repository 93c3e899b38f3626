"""What is asked of the store for one task. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Submission:
    """A validated request for one task."""

    name: str
    args: str
    """A JSON object that fits the task's signature."""
    queue: str
    tenant: str
    max_attempts: int
    retention_ms: int
    delay_ms: int = 0
    run_at_ms: int = 0
    """Unix milliseconds; 0 where `delay_ms` says it, or nothing does."""
    idempotency_key: str = ""
    fingerprint: bytes = b""
    """16 bytes of a hash over the request: the same key must come with the same one."""
    priority: int = 0
    """From 0 to 9; 9 is leased first."""
    unique: str = ""
    """Held by one unfinished task of the tenant and queue at a time; empty for none."""
    tags: tuple[str, ...] = ()
    expires_ms: int = 0
    """From now until it expires unless it has started; 0 is never."""
    deadline_ms: int = 0
    """From now until it fails unless it has finished; 0 is never."""
