"""The whole of Bide, deployed into an AWS on loopback, in this process, so that it can be disturbed."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from bide.settings import Settings
from local import ports
from local.emulator.dispatcher import Deployed
from local.emulator.figures import Figures
from local.lambda_stack import LambdaStack

DRAIN = "bide-dev-drain"
SECONDS = 90.0
"""How long anything may take on a slow machine."""


class RunningFleet:
    """A stack, what a client asks of it, and what its emulator counts. Use it on the runner's loop."""

    def __init__(self, folder: Path, **variables: str) -> None:
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("BIDE_", "AWS_")) or name == "BIDE_REDIS_URL"
        }
        environ |= {"BIDE_TASKS": "fleet_jobs", "BIDE_PREFIX": f"t-{folder.name}"[:40].lower(), **variables}
        self.marks = folder / "marks"
        self.marks.touch()
        self._listener = ports.listen(ports.free_port())
        self._stack = LambdaStack(Settings.from_environ(environ), environ, self._listener, folder, print)

    async def start(self) -> None:
        assert await self._stack.start()

    async def stop(self) -> None:
        await self._stack.stop()
        self._listener.close()

    @property
    def drain(self) -> Deployed:
        """The drain function: its chaos, its rules."""
        return self._stack.emulator.deployed(DRAIN)

    @property
    def figures(self) -> Figures:
        """A copy of the drain function's."""
        return self._stack.emulator.account(DRAIN)

    def throttle(self, *, off: bool = False) -> None:
        """Let the drain function have no environment at all, or as many as it likes."""
        self._stack.emulator.dispatcher.reserve(DRAIN, None if off else 0)

    async def submit(self, task: str, **args: Any) -> str:
        """Submit a task; returns its id."""
        body = {"name": task, "args": args}
        answer = await self._ask("post", "/v1/tasks", json=body)
        assert answer.status_code == 202, answer.text
        id: str = answer.json()["id"]
        return id

    async def show(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self._ask("get", f"/v1/tasks/{id}")).json()
        return found

    async def done(self, id: str) -> dict[str, Any]:
        """The task when it has ended."""
        deadline = time.monotonic() + SECONDS
        while not (task := await self.show(id))["done"]:
            assert time.monotonic() < deadline, f"waited in vain: {task}"
            await asyncio.sleep(0.05)
        return task

    async def scaling(self) -> list[str]:
        """Reasons of the decisions about the default queue, the latest first."""
        queues = (await self._ask("get", "/v1/scaling")).json()["queues"]
        (decisions,) = (queue["decisions"] for queue in queues if queue["queue"] == "default")
        return [decision["reason"] for decision in decisions]

    async def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            await asyncio.sleep(0.02)

    async def asleep(self) -> None:
        """Return when no worker runs."""
        await self.until(lambda: self.figures.busy == 0)

    def lines(self) -> list[str]:
        """What the tasks have left in their file."""
        return self.marks.read_text().splitlines()

    async def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._stack.key}"}
        ask = getattr(requests, method)
        answer: requests.Response = await asyncio.to_thread(
            ask, self._stack.url.rstrip("/") + path, headers=headers, timeout=60, **options
        )
        return answer
