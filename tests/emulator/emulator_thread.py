"""An emulator in a thread, and zips for it."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import zipfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import boto3
import uvloop
from botocore.config import Config

from local.emulator.emulator import Emulator
from local.emulator.figures import Figures
from local.emulator.function import REGION, Function, Rules
from local.signing import AccessKey

T = TypeVar("T")

SECONDS = 60.0
"""How long anything may take on a slow machine."""


def client_of(service: str, url: str, key: AccessKey, **config: Any) -> Any:
    """A boto3 client without retries, which signs with `key`."""
    settings = Config(
        retries={"total_max_attempts": 1}, read_timeout=SECONDS, max_pool_connections=64, **config
    )
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        config=settings,
    )


class EmulatorThread:
    """Runs an emulator's event loop; what tests call is handed over to it."""

    def __init__(
        self,
        folder: Path,
        rules: Rules | None = None,
        variables: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.emulator = Emulator(
            rules=rules or Rules(), directory=folder / "emulator", variables=variables, **arguments
        )
        self.call(self.emulator.start())
        self.client = client_of("lambda", self.emulator.url, self.emulator.key)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the emulator's loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)

    def do(self, action: Callable[[], T]) -> T:
        """Call a function on the emulator's loop."""

        async def act() -> T:
            return action()

        return self.call(act())

    def zip(self, source: str, **files: str) -> Path:
        """A package whose module `main` is `source`. The same modules make the same bytes, whenever."""
        path = self._folder / f"code-{next(self._numbers)}.zip"
        with zipfile.ZipFile(path, "w") as opened:
            for name, text in {"main": source, **files}.items():
                module = zipfile.ZipInfo(f"{name}.py")
                module.external_attr = 0o644 << 16
                opened.writestr(module, text)
        return path

    def deploy(self, name: str, source: str, **settings: Any) -> Function:
        """Deploy a function whose handler is `main.handler` of `source`."""
        function = Function(name, "main.handler", self.zip(source), **settings)
        self.do(lambda: self.emulator.deploy([function]))
        return function

    def invoke(self, name: str, event: bytes = b"{}", **arguments: Any) -> dict[str, Any]:
        """Invoke by boto3; the answer's payload is read already."""
        answer: dict[str, Any] = self.client.invoke(FunctionName=name, Payload=event, **arguments)
        answer["Payload"] = answer["Payload"].read()
        return answer

    def drained(self, name: str) -> Figures:
        """Wait until no event is on its way to the function; its figures then."""
        self.call(self.emulator.deployed(name).events.drained())
        return self.figures(name)

    def figures(self, name: str) -> Figures:
        return self.do(lambda: self.emulator.account(name))

    def log(self, name: str) -> str:
        return self.do(self.emulator.deployed(name).output.text)

    def stop(self) -> None:
        try:
            self.call(self.emulator.stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(SECONDS)
            self._loop.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds; fail when it never does."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "this has not come to pass"
        time.sleep(0.005)
