"""A running AWS stand-in: a process that is started, watched and ended."""

from __future__ import annotations

import asyncio
import os
import signal
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local import ports
from local.children import Child, Role, spawn
from local.failure import StackFailed
from local.signing import AccessKey, Scope

REGION: Final = "eu-central-1"

_START_S: Final = 120.0
_END_S: Final = 10.0


class AwsFailed(StackFailed):
    """The AWS stand-in did not start."""


@dataclass(frozen=True)
class RunningAws:
    """Where it listens, and how to reach it."""

    url: str
    key: AccessKey
    """The only one that it answers to."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables that lead any AWS client here, and to nobody else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            **self.key.environ,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def save_key(self, folder: Path) -> None:
        """Write the key, for this user alone: `credentials` for AWS's own tools, `curl` for curl."""
        known = f"aws_access_key_id = {self.key.id}\naws_secret_access_key = {self.key.secret}\n"
        asks = f'user = "{self.key.id}:{self.key.secret}"\naws-sigv4 = "aws:amz:{REGION}:lambda"\n'
        for name, text in (("credentials", f"[default]\n{known}"), ("curl", asks)):
            file = folder / name
            file.unlink(missing_ok=True)
            file.touch(mode=0o600)
            file.write_text(text, encoding="ascii")

    def forget(self) -> None:
        """Have it forget everything that it holds."""
        url = f"{self.url}/moto-api/reset"
        headers = self.key.signed(Scope("moto-api", REGION), "POST", url)
        asked = urllib.request.Request(url, method="POST", headers=dict(headers))
        urllib.request.urlopen(asked, timeout=30).close()

    def client(self, service: str) -> Any:
        """A boto3 client of it."""
        import boto3  # type: ignore[import-untyped]

        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=self.key.id,
            aws_secret_access_key=self.key.secret,
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
        """Start it on a free port, with a key of its own; returns when it answers. Raises AwsFailed."""
        key = AccessKey.new()
        with ports.listen(0) as listener:
            role = Role("aws.server", ("--socket", str(listener.fileno())), (listener.fileno(),))
            url = f"http://{ports.LOOPBACK}:{listener.getsockname()[1]}"
            child = self._child = await spawn(role, {**os.environ, **key.environ})
        self._following = asyncio.create_task(child.follow(lambda *_: None))
        await asyncio.wait_for(child.ready.wait(), _START_S)
        if not child.serves:
            raise AwsFailed("the AWS stand-in did not start")
        return RunningAws(url, key)

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
