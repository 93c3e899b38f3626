"""A stack in MODE=lambda as its user runs it, and what is counted of its functions."""

from __future__ import annotations

import configparser
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import psutil
import requests
from stack_process import StackProcess

from local import ports
from local.aws.running import REGION
from local.signing import AccessKey, Scope
from local.store import TITLE

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
        headers = dict(self.access_key().signed(Scope("lambda", REGION), "GET", self._figures))
        found: dict[str, Any] = requests.get(self._figures, headers=headers, timeout=30).json()[function]
        return found

    def access_key(self) -> AccessKey:
        """The key that its stand-ins for AWS answer to, where it says that it is."""
        saved = configparser.ConfigParser()
        saved.read(self._data / "lambda" / "credentials")
        known = {name.upper(): value for name, value in saved["default"].items()}
        return AccessKey.of(known)

    def open_ports(self) -> dict[int, str]:
        """What each port is for that any of its processes listens on."""
        found = {}
        for process in self.everyone():
            try:
                words, sockets = process.cmdline(), process.net_connections(kind="inet")
            except psutil.NoSuchProcess:
                continue
            for socket in sockets:
                if socket.status in (psutil.CONN_LISTEN, psutil.CONN_NONE):  # or one that takes datagrams
                    assert socket.laddr.ip == ports.LOOPBACK, (words, socket)
                    found[socket.laddr.port] = self._purpose(words, socket.laddr.port)
        return found

    def _purpose(self, words: list[str], port: int) -> str:
        if port == self.port:
            return "api"
        if port == urlsplit(self._figures).port:
            return "lambda"
        if "local.aws.server" in words:
            return "aws"
        return "store" if words[0].startswith(TITLE) else "runtime"

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
