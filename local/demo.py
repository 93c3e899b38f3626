"""`make demo`: a cloud's virtual machines and several hundred real pages, through a stack of its own.

Every task goes client -> socket -> API -> store -> worker -> result. The virtual machines
take their time, and are waited for together, while the pages are checked. Exit code 0 only
if each result is right, and the cloud was not asked more often than agreed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from bide.duty import perform
from bide.settings import Settings
from bide_client import Client
from local import demo_pages, demo_report, demo_vms, ports
from local.children import Child, Role, spawn
from local.data import claim
from local.demo_pages import Check, Outcome
from local.demo_report import Progress
from local.demo_vms import Ending, Ledger
from local.signing import AccessKey
from local.stack import Stack
from local.up import say

_VMS: Final = 500
"""Virtual machines, unless the command line says otherwise."""

_PENDING_SECONDS: Final = (10.0, 20.0)
"""How long they take to start."""

_CLIENTS: Final = 32
"""How many check pages at once, and as many wait for virtual machines."""

_RETRY_SECONDS: Final = 5.0
"""How long a client tries to reach a server that is gone."""

_SAMPLE_SECONDS: Final = 0.25
"""Between two looks at the worker processes."""


class Workers:
    """Counts the worker processes below this one."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.most = 0

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            alive = {child.pid for child in psutil.Process().children() if _is_worker(child)}
            self.seen |= alive
            self.most = max(self.most, len(alive))
            await asyncio.sleep(_SAMPLE_SECONDS)


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "local.worker" in process.cmdline()
    except psutil.Error:
        return False


@asynccontextmanager
async def _running(name: str, *arguments: str, **environ: str) -> AsyncIterator[str]:
    """A child that serves on a port of its own, with `environ` added to its environment; gives its URL."""
    listener: socket.socket = ports.listen(ports.free_port())
    with listener:
        role = Role(name, ("--socket", str(listener.fileno()), *arguments), (listener.fileno(),))
        child: Child = await spawn(role, {**os.environ, **environ})
        following = asyncio.create_task(child.follow(lambda *_: None))
        try:
            await child.ready.wait()
            if not child.serves:
                raise RuntimeError(f"the {name} of the demo did not start")
            yield f"http://{ports.LOOPBACK}:{listener.getsockname()[1]}"
        finally:
            child.signal(signal.SIGTERM)
            await following


async def _measure(url: str, pages: Sequence[Check], vms: int) -> tuple[list[Outcome], float, list[Ending]]:
    """Run everything; returns what came of the pages, the seconds that took, and of the VMs."""
    progress = Progress(len(pages) + vms)
    loop = asyncio.get_running_loop()
    checkers, waiters = ThreadPoolExecutor(_CLIENTS), ThreadPoolExecutor(_CLIENTS)
    try:
        with Client(url, patience=_RETRY_SECONDS) as client:
            ordered = await asyncio.gather(
                *(loop.run_in_executor(waiters, demo_vms.submit, client) for _ in range(vms))
            )
            waits = [loop.run_in_executor(waiters, demo_vms.wait, task) for task in ordered]
            begun = loop.time()
            checks = [loop.run_in_executor(checkers, demo_pages.run, client, check) for check in pages]
            futures: list[asyncio.Future[Any]] = [*waits, *checks]
            for future in futures:
                future.add_done_callback(progress.step)
            outcomes = await asyncio.gather(*checks)
            seconds = loop.time() - begun
            return outcomes, seconds, await asyncio.gather(*waits)
    finally:
        for threads in (checkers, waiters):
            threads.shutdown(wait=False, cancel_futures=True)


def _environ(given: Mapping[str, str], cloud: str, key: AccessKey) -> dict[str, str]:
    """What the stack is told: the demo's tasks, no keys, and this cloud alone, whatever this shell knows."""
    kept = {name: value for name, value in given.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "BIDE_TASKS": "local.demo_tasks",
        "BIDE_API_KEY_HASHES": "",
        "BIDE_OPERATOR_KEY_HASHES": "",
        "AWS_ENDPOINT_URL": cloud,
        "AWS_REGION": demo_vms.REGION,
        "AWS_DEFAULT_REGION": demo_vms.REGION,
        **key.environ,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def _say(text: str) -> None:
    """What goes wrong; the table tells how many workers came and went."""
    if not text.endswith(" started"):
        say(text)


async def _demo(data: Path, vms: int, pending: Sequence[float]) -> int:
    slowness = ("--pending", *map(str, pending), "--failing-every", str(demo_vms.FAILING_EVERY))
    key = AccessKey.new()
    async with _running("site") as site, _running("cloud", *slowness, **key.environ) as cloud:
        environ = _environ(os.environ, cloud, key)
        listener = ports.listen(ports.free_port())
        stack = Stack(Settings.from_environ(environ), environ, listener, data, _say)
        workers = Workers()
        watching = asyncio.create_task(perform("counting workers", workers.watch))
        try:
            if not await stack.start():
                return 1
            pages = list(demo_pages.checks(site, f"http://{ports.LOOPBACK}:{ports.free_port()}"))
            print(
                f"starting {vms} virtual machines, checking {len(pages)} pages, through {stack.url}",
                flush=True,
            )
            outcomes, seconds, endings = await _measure(stack.url, pages, vms)
            with Client(stack.url) as client:
                stats = await asyncio.to_thread(client.stats)
            ledger = await asyncio.to_thread(Ledger.of, cloud, key)
        finally:
            watching.cancel()
            await stack.stop()
    wrong = [*demo_vms.misjudged(endings, ledger), *demo_vms.excess(ledger.calls)]
    print(demo_report.pages_table(outcomes, seconds))
    print(demo_report.vms_table(endings, ledger, wrong))
    print(demo_report.totals_table(stats, workers.most, len(workers.seen)), flush=True)
    return 1 if wrong or any(outcome.wrong for outcome in outcomes) else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.demo")
    parser.add_argument("--vms", type=int, default=_VMS, help=f"virtual machines to start; {_VMS} by default")
    parser.add_argument(
        "--pending", type=float, nargs=2, default=_PENDING_SECONDS, help="seconds that each takes: from, to"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bide-demo-") as folder, claim(Path(folder)):
        try:
            return asyncio.run(_demo(Path(folder), arguments.vms, arguments.pending))
        except KeyboardInterrupt:
            print("\ninterrupted", flush=True)
            return 130


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # without joining clients that still wait for results when it is interrupted
