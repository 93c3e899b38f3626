"""Schedules: a rule of EventBridge that invokes a function at a fixed rate."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import msgspec

_RATE: Final = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_UNIT_SECONDS: Final = {"minute": 60, "hour": 3600, "day": 86_400}


class UnknownExpression(ValueError):
    """The schedule is no `rate(...)`, the one kind of expression that is understood here."""


@dataclass(frozen=True)
class Schedule:
    """One rule and one function that it invokes."""

    rule_arn: str
    function: str
    period_s: float
    account: str
    region: str


def period_s(expression: str) -> float:
    """The seconds of `rate(1 minute)` and the like. Raises UnknownExpression."""
    match = _RATE.fullmatch(expression.strip())
    if match is None or match[1] == "0":
        raise UnknownExpression(f"{expression!r} is no rate such as rate(5 minutes)")
    return float(int(match[1]) * _UNIT_SECONDS[match[2]])


class ScheduleSource:
    """Hands an event to `accept` (function, event) each period, the first after one period."""

    def __init__(self, accept: Callable[[str, bytes], object], schedule: Schedule) -> None:
        self._accept = accept
        self._schedule = schedule

    async def run(self) -> None:
        """Until cancelled. Periods do not drift; those missed while the machine slept are left out."""
        due = time.monotonic()
        while True:
            due = max(due + self._schedule.period_s, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            self._accept(self._schedule.function, self._event())

    def _event(self) -> bytes:
        schedule = self._schedule
        return msgspec.json.encode(
            {
                "version": "0",
                "id": str(uuid4()),
                "detail-type": "Scheduled Event",
                "source": "aws.events",
                "account": schedule.account,
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "region": schedule.region,
                "resources": [schedule.rule_arn],
                "detail": {},
            }
        )
