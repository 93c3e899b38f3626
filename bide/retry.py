"""Retry policy: which failures are tried again, and after how long. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from bide.errors import Reject

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_seconds(value: str | float | timedelta) -> float:
    """Seconds from a number, a timedelta, or text such as "500ms", "30s", "20m", "1h", "7d".

    Raises ValueError for anything else, and for what is negative.
    """
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, str):
        unit = value.lstrip("0123456789.")
        try:
            seconds = float(value[: len(value) - len(unit)]) * _UNITS[unit or "s"]
        except (KeyError, ValueError):
            raise ValueError(f'{value!r} is no duration; write "500ms", "30s", "20m", "1h" or "7d"') from None
    else:
        try:
            seconds = float(value)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{value!r} is no duration") from None
    if not 0 <= seconds < 1e10:
        raise ValueError(f"a duration must be zero or more seconds, not {value!r}")
    return seconds


@dataclass(frozen=True)
class Retry:
    """How often, and how patiently, a task is tried.

    max_attempts: tries in all; the first and those that crashes cost are counted.
    backoff: how the delay grows from one try to the next.
    delay, max_delay: the first delay and the longest one, as durations ("1s", 0.5, "5m").
    jitter: spread each delay evenly over 0.5 to 1 of itself, so that failures that came
        together do not return together.
    retry_on, give_up_on: exception types; the second wins. Reject is never retried.
    """

    max_attempts: int = 3
    backoff: Literal["constant", "linear", "exponential"] = "exponential"
    delay: str | float | timedelta = "1s"
    max_delay: str | float | timedelta = "5m"
    jitter: bool = True
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    give_up_on: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.max_attempts <= 1000:
            raise ValueError(f"max_attempts must be from 1 to 1000, not {self.max_attempts!r}")
        if self.backoff not in ("constant", "linear", "exponential"):
            raise ValueError(f'backoff must be "constant", "linear" or "exponential", not {self.backoff!r}')
        parse_seconds(self.delay)
        parse_seconds(self.max_delay)
        _check_types("retry_on", self.retry_on)
        _check_types("give_up_on", self.give_up_on)

    def retries(self, error: BaseException, attempt: int) -> bool:
        """Whether a task whose attempt number `attempt` (from 1) ended in `error` is tried again."""
        if attempt >= self.max_attempts or isinstance(error, (Reject, *self.give_up_on)):
            return False
        return isinstance(error, self.retry_on)

    def delay_seconds(self, attempt: int, random: Callable[[], float]) -> float:
        """Seconds between attempt number `attempt` (from 1) and the next; `random` gives [0, 1)."""
        first, longest = parse_seconds(self.delay), parse_seconds(self.max_delay)
        if self.backoff == "constant":
            grown = first
        elif self.backoff == "linear":
            grown = first * attempt
        else:
            grown = first * 2.0 ** min(attempt - 1, 60)
        delay = min(grown, longest)
        return delay * (0.5 + random() / 2) if self.jitter else delay


def _check_types(option: str, value: object) -> None:
    if not isinstance(value, tuple) or not all(
        isinstance(kind, type) and issubclass(kind, BaseException) for kind in value
    ):
        raise ValueError(f"{option} must be a tuple of exception types, not {value!r}")
