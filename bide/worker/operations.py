"""The operations as a context calls them, on the attempt that they belong to."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from bide.context import Op
from bide.poller import Poller
from bide.worker import groups, steps, waiting
from bide.worker.engine import Engine
from bide.worker.waiting import Question


class Operations:
    """Base of an attempt, which is their Engine. Durations are in seconds; None is without end."""

    __slots__ = ()

    def step(self: Engine, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Op:
        return steps.step(self, function, args, kwargs)

    def sleep(self: Engine, seconds: float) -> Op:
        return waiting.sleep(self, seconds)

    def poll(
        self: Engine,
        check: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        patience: tuple[float, tuple[type[Exception], ...], int],
        timeout_s: float | None,
    ) -> Op:
        return waiting.poll(self, Question(check, args, kwargs, *patience), timeout_s)

    def poll_shared(self: Engine, poller: Poller, key: Any, timeout_s: float | None) -> Op:
        return waiting.poll_shared(self, poller, key, timeout_s)

    def event(self: Engine, name: str, timeout_s: float | None) -> Op:
        return waiting.event(self, name, timeout_s)

    def first(self: Engine, coroutines: tuple[Op, ...]) -> Op:
        return groups.first(self, coroutines)

    def gather(self: Engine, coroutines: tuple[Op, ...]) -> Op:
        return groups.gather(self, coroutines)

    def time_ms(self: Engine) -> int:
        return int(steps.remember(self, "now", self.now_ms))

    def random(self: Engine) -> float:
        return float(steps.remember(self, "random", random.random))

    def patched(self: Engine, name: str) -> bool:
        return steps.patched(self, name)
