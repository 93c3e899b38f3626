"""What is asked of the store for one task. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bide.records import Spec


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

    def spec(self, now_ms: int) -> Spec:
        """What the store keeps of it when it comes now."""
        due_ms = self.run_at_ms or (self.delay_ms and now_ms + self.delay_ms)
        return Spec(
            self.name,
            self.tenant,
            self.max_attempts,
            self.retention_ms,
            self.priority,
            due_ms if due_ms > now_ms else 0,
            self.expires_ms and now_ms + self.expires_ms,
            self.deadline_ms and now_ms + self.deadline_ms,
            self._of_tenant(self.idempotency_key),
            self._of_tenant(self.unique),
            " ".join(self.tags),
            self.args,
        )

    def _of_tenant(self, value: str) -> str:
        """No two tenants share a key."""
        return f"{self.tenant}\0{value}" if value else ""
