"""A running AWS stand-in, for as long as a `with` lasts."""

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
from local.children import Role, spawn

REGION: Final = "eu-central-1"

_START_S: Final = 120.0
_END_S: Final = 10.0


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


@contextmanager
def running_aws() -> Iterator[RunningAws]:
    """Start one on a free port; it ends with the block, or with this process. Call it on the main thread."""
    with asyncio.Runner() as runner:
        with ports.listen(0) as listener:
            role = Role("aws.server", ("--socket", str(listener.fileno())), (listener.fileno(),))
            url = f"http://{ports.LOOPBACK}:{listener.getsockname()[1]}"
            child = runner.run(spawn(role, os.environ))
        following = runner.get_loop().create_task(child.follow(lambda *_: None))
        try:
            runner.run(asyncio.wait_for(child.ready.wait(), _START_S))
            if not child.serves:
                raise RuntimeError("the AWS stand-in did not start")
            yield RunningAws(url)
        finally:
            child.signal(signal.SIGTERM)
            runner.run(asyncio.wait_for(following, _END_S))
