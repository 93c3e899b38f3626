"""A running AWS stand-in: a process that is started, watched and ended."""

from __future__ import annotations

import asyncio
import os
import signal
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from local import ports
from local.children import Child, Role, spawn
from local.failure import StackFailed

REGION: Final = "eu-central-1"

_START_S: Final = 120.0
_END_S: Final = 10.0


class AwsFailed(StackFailed):
    """The AWS stand-in did not start."""


@dataclass(frozen=True)
class RunningAws:
    """Where it listens, and how to reach it."""

    url: str

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables that lead any AWS client here, and to nobody else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def forget(self) -> None:
        """Have it forget everything that it holds."""
        asked = urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")
        urllib.request.urlopen(asked, timeout=30).close()

    def client(self, service: str) -> Any:
        """A boto3 client of it."""
        import boto3  # type: ignore[import-untyped]

        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )


class AwsProcess:
    """The process of one. Start it on the main thread, and end it on the same event loop."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self._following: asyncio.Task[int] | None = None

    @property
    def pid(self) -> int:
        """The process id, 0 before `start`."""
        return self._child.pid if self._child else 0

    async def start(self) -> RunningAws:
        """Start it on a free port; returns when it answers. Raises AwsFailed."""
        with ports.listen(0) as listener:
            role = Role("aws.server", ("--socket", str(listener.fileno())), (listener.fileno(),))
            url = f"http://{ports.LOOPBACK}:{listener.getsockname()[1]}"
            child = self._child = await spawn(role, os.environ)
        self._following = asyncio.create_task(child.follow(lambda *_: None))
        await asyncio.wait_for(child.ready.wait(), _START_S)
        if not child.serves:
            raise AwsFailed("the AWS stand-in did not start")
        return RunningAws(url)

    async def ended(self) -> int:
        """Wait until it has ended; returns its exit code, negative for a signal."""
        assert self._following is not None, "it has not been started"
        return await asyncio.shield(self._following)

    async def stop(self) -> None:
        """End it, and wait until it has. No-op when it does not run."""
        if self._child is not None and self._following is not None:
            self._child.signal(signal.SIGTERM)
            await asyncio.wait_for(self._following, _END_S)

    def kill(self) -> None:
        """End it at once."""
        if self._child is not None:
            self._child.signal(signal.SIGKILL)


@contextmanager
def running_aws() -> Iterator[RunningAws]:
    """Start one on a free port; it ends with the block, or with this process. Call it on the main thread."""
    process = AwsProcess()
    with asyncio.Runner() as runner:
        try:
            yield runner.run(process.start())
        finally:
            runner.run(process.stop())
