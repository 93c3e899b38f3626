"""A stack in MODE=lambda as its user runs it, and what is counted of its functions."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import psutil
import requests
from stack_process import StackProcess

SECONDS = 60.0
"""How long anything may take on a slow machine."""

DRAIN = "bide-dev-drain"


class LambdaProcess(StackProcess):
    """Workers leave soon, and no wait keeps one."""

    def __init__(self, port: int | None = None, **environ: str) -> None:
        soon = {"BIDE_IDLE_SECONDS": "0.1", "BIDE_HOT_WAIT_SECONDS": "0"}
        super().__init__(port, mode="lambda", **{**soon, **environ})

    def ready(self) -> LambdaProcess:
        self.url = self.wait_for(r"Bide is up: ", SECONDS).split()[-1]
        key = re.search(r"BIDE_KEY=(\S+)", self.wait_for(r"submit echo", SECONDS))
        assert key is not None
        self.headers = {"Authorization": f"Bearer {key[1]}"}
        self._figures = self.wait_for(r"/_emulator/figures", SECONDS).split()[-1]
        self.wait_for(r"AWS_ENDPOINT_URL", SECONDS)
        return self

    def figures(self, function: str) -> dict[str, Any]:
        """What was counted of a function."""
        found: dict[str, Any] = requests.get(self._figures, timeout=30).json()[function]
        return found

    def environments(self) -> list[psutil.Process]:
        """The processes that the functions run in."""
        found = []
        for process in self.everyone():
            try:
                if "awslambdaric" in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found

    def done(self, task: str) -> dict[str, Any]:
        """A task when it has ended."""
        until(lambda: self.show(task)["done"])
        return self.show(task)


def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds; fail when it never does."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "this has not come to pass"
        time.sleep(0.02)
