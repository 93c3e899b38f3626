"""What a Lambda function is made of, and the rules that all functions live under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ACCOUNT: Final = "123456789012"
"""The account that moto answers for."""

REGION: Final = "eu-central-1"

MAX_PAYLOAD_BYTES: Final = 6 * 1024 * 1024
"""Largest event of a synchronous invocation."""

MAX_EVENT_BYTES: Final = 1024 * 1024
"""Largest event of an asynchronous invocation."""

MAX_ANSWER_BYTES: Final = MAX_PAYLOAD_BYTES + 100
"""Largest answer of a synchronous invocation; AWS allows its own hundred bytes on top."""


@dataclass(frozen=True)
class Function:
    """One function as it is configured; `code` is its deployment package, a zip file."""

    name: str
    handler: str
    code: Path
    memory_mb: int = 128
    """Told to the runtime and reported; nothing here enforces it."""
    timeout_s: float = 3.0
    environment: Mapping[str, str] = field(default_factory=dict)
    reserved_concurrency: int | None = None
    """How many environments may run at once; None shares what the account has left."""
    region: str = REGION
    account: str = ACCOUNT

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{self.name}"


@dataclass(frozen=True)
class AsyncRules:
    """How a function's asynchronous events are treated (AWS: EventInvokeConfig)."""

    retries: int = 2
    """Further attempts after an invocation that ended in an error."""
    max_age_s: float = 21_600.0
    """An event older than this is dropped, however often it was tried."""


@dataclass(frozen=True)
class Rules:
    """Times and limits of the service. The defaults are Lambda's own; tests shorten them."""

    init_s: float = 10.0
    """How long an environment may take to become ready before an invocation is given to it."""
    idle_s: float = 300.0
    """How long an idle environment is kept. AWS tells no number; minutes are seen."""
    account_concurrency: int = 1000
    max_chain: int = 16
    """Invocations of one function in one chain before the next is stopped."""
    retry_s: tuple[float, ...] = (60.0, 120.0)
    """Pauses before the attempts that follow an error; the last one repeats."""
    backoff_s: tuple[float, float] = (1.0, 300.0)
    """First and longest pause of an event that was throttled; each is twice the one before."""
    gateway_s: float = 29.0
    """How long API Gateway waits for a function."""
    stream_poll_s: float = 1.0
    """Pause between two looks into a shard that had nothing, and before a failed batch is tried again."""
    schedule_period_s: float | None = None
    """Period of every schedule, instead of its own."""
    log_bytes: int = 4 * 1024 * 1024
    """How much of a function's output is kept."""
