"""The stack as it is deployed, on the emulator and the bench's store; and what its functions were billed."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench.bed import Bed, environ
from bench.errors import BenchFailed
from bide.errors import SettingsError
from bide.settings import Settings
from local import ports
from local.emulator.figures import Figures
from local.failure import StackFailed
from local.lambda_stack import LambdaStack
from local.lambda_variables import STAGE

API: Final = f"bide-{STAGE}"
DRAIN: Final = f"{API}-drain"
TRIGGERS: Final = (f"{API}-tick", f"{API}-wake_by_queue", f"{API}-wake_by_stream")

_ASK_SECONDS: Final = 0.005


class Bill(NamedTuple):
    """What functions came to, in a stretch of time."""

    drain_ms: int
    triggers_ms: int
    """Of the tick, and of what queue and stream wake."""
    api_ms: int
    drains: int
    """Invocations."""
    triggers: int
    requests: int
    drain_cold: int
    """Cold starts of the drain function."""
    memory_mb: int
    """Of the drain function."""

    @property
    def waiting_ms(self) -> int:
        """What it takes that tasks are done: everything but the clients' requests."""
        return self.drain_ms + self.triggers_ms


class Meter:
    """Reads the emulator's figures: what was billed since it was made."""

    def __init__(self, stack: LambdaStack) -> None:
        self._stack = stack
        self._before = stack.emulator.figures()

    def read(self) -> Bill:
        now = self._stack.emulator.figures()

        def since(name: str, figure: str) -> int:
            before = getattr(self._before.get(name, Figures()), figure)
            return int(getattr(now.get(name, Figures()), figure)) - int(before)

        return Bill(
            since(DRAIN, "billed_ms"),
            sum(since(name, "billed_ms") for name in TRIGGERS),
            since(API, "billed_ms"),
            since(DRAIN, "invocations"),
            sum(since(name, "invocations") for name in TRIGGERS),
            since(API, "invocations"),
            since(DRAIN, "cold_starts"),
            now[DRAIN].memory_mb,
        )


@asynccontextmanager
async def running_lambda(
    store: Bed, settings: Mapping[str, str] | None = None, *, api_concurrency: int | None = None
) -> AsyncIterator[LambdaStack]:
    """It, while it runs, with the benchmarks' tasks.

    settings: environment variables besides the test bed's and those of the stage.
    api_concurrency: how many environments the API may have, instead of what the stage says.
    """
    variables = {**environ(store.url, "bench.tasks"), **(settings or {})}
    with (
        tempfile.TemporaryDirectory(prefix="bide-bench-") as folder,
        ports.listen(ports.free_port()) as listener,
    ):
        try:
            stack = LambdaStack(
                Settings.from_environ(variables), variables, listener, Path(folder), _complain,
                api_concurrency=api_concurrency,
            )  # fmt: skip
            try:
                await stack.start()
                yield stack
            finally:
                await stack.stop()
        except (SettingsError, StackFailed) as error:
            raise BenchFailed(str(error)) from error


async def at_rest(stack: LambdaStack, timeout: float = 30.0) -> None:
    """Return when no worker is at work, so that all of its time is billed. Raises BenchFailed."""
    deadline = time.monotonic() + timeout
    while stack.emulator.account(DRAIN).busy:
        if time.monotonic() > deadline:
            raise BenchFailed(f"a worker stayed {timeout:g} s after all was done")
        await asyncio.sleep(_ASK_SECONDS)


def evict(stack: LambdaStack, name: str = DRAIN) -> None:
    """End a function's environments, by deploying it again as it is: the next invocation starts a new one."""
    stack.emulator.deploy([stack.emulator.deployed(name).function])


def _complain(text: str) -> None:
    if not text.startswith("packaging and deploying"):
        print(f"stack: {text}", file=sys.stderr, flush=True)
