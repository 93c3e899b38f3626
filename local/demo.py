"""`make demo`: checks several hundred real pages through a stack of its own, and its results one by one.

Every check goes client -> socket -> API -> store -> worker -> result. Exit code 0
only if each result is what its page must give.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bide.settings import Settings
from bide_client import BideError, Client
from local import ports
from local.children import Role, spawn
from local.data import claim
from local.site import page
from local.stack import Stack
from local.up import say

_COUNTS: Final = {
    "good": 220, "slow": 60, "failing": 40, "redirecting": 40, "looping": 15, "hanging": 20, "refusing": 5,
}  # fmt: skip
"""Pages of each kind."""

_CLIENTS: Final = 32
"""How many submit and wait at once."""

_HANGING_TIMEOUT: Final = 1.5
"""Seconds that a check waits for a hanging page."""

_PATIENCE_SECONDS: Final = 60.0
"""How long a result may take."""

_RETRY_SECONDS: Final = 5.0
"""How long a client tries to reach a server that is gone."""


@dataclass(frozen=True)
class Check:
    """One page to check, and what must come of it."""

    kind: str
    arguments: dict[str, Any]
    expected: dict[str, Any]
    """Keys of the result and their values; `error` names the exception, or is None."""


@dataclass(frozen=True)
class Outcome:
    """What came of a check. Times in seconds."""

    submit: float
    to_result: float
    wrong: str | None


def checks(site: str, nobody: str) -> Iterator[Check]:
    """All checks; `site` serves the pages, at `nobody` nothing listens."""
    number = 0
    for kind, count in _COUNTS.items():
        for _ in range(count):
            number += 1
            url = f"{nobody if kind == 'refusing' else site}/{kind}/{number}"
            arguments = {"url": url, "timeout": _HANGING_TIMEOUT} if kind == "hanging" else {"url": url}
            yield Check(kind, arguments, {"url": url, **_expected(kind, number)})


def _expected(kind: str, number: int) -> dict[str, Any]:
    match kind:
        case "failing":
            return {"ok": False, "status": 500, "error": None}
        case "looping":
            return {"ok": False, "status": None, "error": "TooManyRedirects"}
        case "hanging":
            return {"ok": False, "status": None, "error": "ReadTimeout"}
        case "refusing":
            return {"ok": False, "status": None, "error": "ConnectionError"}
    return {"ok": True, "status": 200, "bytes": len(page(number)), "error": None}


def run(client: Client, check: Check) -> Outcome:
    """Submit one check and wait for its result."""
    begun = time.monotonic()
    submitted = begun
    try:
        task = client.submit("http_check", **check.arguments)
        submitted = time.monotonic()
        result = task.result(timeout=_PATIENCE_SECONDS)
    except BideError as error:
        return Outcome(submitted - begun, time.monotonic() - begun, f"{check.arguments['url']}: {error}")
    found = {key: result[key] for key in check.expected}
    if found["error"] is not None:
        found["error"] = found["error"].partition(":")[0]
    wrong = None if found == check.expected else f"expected {check.expected}, got {result}"
    return Outcome(submitted - begun, time.monotonic() - begun, wrong)


class Progress:
    """A bar on a terminal; elsewhere a line now and then."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._bar = sys.stdout.isatty()

    def step(self, check: asyncio.Future[Outcome]) -> None:
        """Count a check that is done, not one that was given up."""
        if check.cancelled():
            return
        self._done += 1
        if self._bar:
            filled = 40 * self._done // self._total
            end = "\n" if self._done == self._total else ""
            print(f"\r[{'#' * filled:.<40}] {self._done}/{self._total}", end=end, flush=True)
        elif self._done % 100 == 0 or self._done == self._total:
            print(f"{self._done} of {self._total} results", flush=True)


async def _measure(url: str, work: Sequence[Check]) -> tuple[list[Outcome], float]:
    """Run all checks; returns what came of each, and the seconds it took."""
    progress = Progress(len(work))
    loop = asyncio.get_running_loop()
    clients = ThreadPoolExecutor(_CLIENTS)
    try:
        with Client(url, patience=_RETRY_SECONDS) as client:
            begun = loop.time()
            futures = [loop.run_in_executor(clients, run, client, check) for check in work]
            for future in futures:
                future.add_done_callback(progress.step)
            return await asyncio.gather(*futures), loop.time() - begun
    finally:
        clients.shutdown(wait=False, cancel_futures=True)


def _table(outcomes: Sequence[Outcome], seconds: float) -> str:
    submits = sorted(outcome.submit for outcome in outcomes)
    results = sorted(outcome.to_result for outcome in outcomes)
    wrong = [outcome.wrong for outcome in outcomes if outcome.wrong]
    kinds = ", ".join(f"{count} {kind}" for kind, count in _COUNTS.items())
    lines = [
        "",
        f"tasks            {len(outcomes)} ({kinds})",
        f"right results    {len(outcomes) - len(wrong)}",
        f"throughput       {len(outcomes) / seconds:.0f} tasks/s over {seconds:.1f} s",
        f"submit           p50 {_ms(submits, 0.5)}   p99 {_ms(submits, 0.99)}",
        f"time to result   p50 {_ms(results, 0.5)}   p99 {_ms(results, 0.99)}",
        *(f"wrong: {text}" for text in wrong[:10]),
    ]
    return "\n".join(lines)


def _ms(ordered: Sequence[float], share: float) -> str:
    return f"{ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000:7.1f} ms"


async def _demo(data: Path) -> int:
    environ = {**os.environ, "BIDE_TASKS": "workers.tasks"}
    settings = Settings.from_environ(environ)
    listener, site_listener = ports.listen(ports.free_port()), ports.listen(ports.free_port())
    stack = Stack(settings, environ, listener, data, say)
    site = None
    try:
        site = await spawn(
            Role("site", ("--socket", str(site_listener.fileno())), (site_listener.fileno(),)), os.environ
        )
        if not await stack.start():
            return 1
        site_url = f"http://{ports.LOOPBACK}:{site_listener.getsockname()[1]}"
        nobody = f"http://{ports.LOOPBACK}:{ports.free_port()}"
        work = list(checks(site_url, nobody))
        print(f"checking {len(work)} pages of {site_url} through {stack.url}", flush=True)
        outcomes, seconds = await _measure(stack.url, work)
        print(_table(outcomes, seconds), flush=True)
        return 1 if any(outcome.wrong for outcome in outcomes) else 0
    finally:
        if site is not None:
            site.signal(signal.SIGTERM)
        await stack.stop()


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="bide-demo-") as folder, claim(Path(folder)):
        try:
            return asyncio.run(_demo(Path(folder)))
        except KeyboardInterrupt:
            print("\ninterrupted", flush=True)
            return 130


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # without joining clients that still wait for results when it is interrupted
