"""Starts worker processes quickly: imports everything once, then forks.

    python zygote.py     reads one JSON object a line, answers each with a process id

Each object gives `url`, `prefix`, `effects` (a file the tasks write to) and settings; perhaps
`tasks`, modules in place of those of every test, `environ`, variables for the tasks, `log`, a
file for transitions, and `patience_s`, for tasks whose code the worker lacks.
The workers die with this process.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from commit_count import counting

from bide import registry, scripts
from bide.autoscaler import Limits
from bide.output import Output
from bide.settings import Settings
from bide.transition_log import TransitionLog
from bide.worker.runner import PATIENCE_S
from bide.worker.worker import Worker
from local import tether

TASKS = ("worker_tasks", "program_tasks", "poller_tasks", "talking_tasks", "ending_tasks")


async def _work(wish: dict[str, Any]) -> None:
    limits = tuple((queue, Limits(*given)) for queue, given in wish["settings"].pop("queue_limits", ()))
    settings = Settings(prefix=wish["prefix"], queues=("other",), queue_limits=limits, **wish["settings"])
    tasks = registry.load(wish.get("tasks", TASKS), local=True)
    worker = Worker(
        settings, tasks, wish["url"], stays=wish.get("stays", True),
        wake=WrittenWake(Path(wish["effects"])), lives_s=wish.get("lives_s"), log=_log(wish.get("log")),
        patience_s=wish.get("patience_s", PATIENCE_S),
    )  # fmt: skip
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()


def _log(file: str | None) -> TransitionLog | None:
    if file is None:
        return None
    return TransitionLog(Output(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)).write)


class WrittenWake:
    """A Wake that starts nobody: it leaves a line in a file beside the effects for each that it should."""

    farthest_ms = 10**9

    def __init__(self, effects: Path) -> None:
        self._file = effects.with_name(f"{effects.name}.wakes")

    def start(self, count: int) -> None:
        self.write("start", count)

    def alarm(self, delay_ms: int) -> None:
        self.write("alarm", delay_ms)

    def look(self) -> None:
        self.write("look", 0)

    def write(self, what: str, number: int) -> None:
        with self._file.open("a") as wakes:
            wakes.write(f"{what} {number}\n")


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    registry.load(TASKS, local=True)  # before the forks
    scripts.load = counting()  # type: ignore[assignment]
    for line in sys.stdin:
        wish = json.loads(line)
        before = tether.die_with_parent()
        pid = os.fork()
        if pid == 0:
            if before is not None:
                before()
            os.environ.update(wish.get("environ", {}), EFFECTS=wish["effects"])
            try:
                asyncio.run(_work(wish))
                if threading.active_count() > 1:
                    WrittenWake(Path(wish["effects"])).write("unclean", 1)
            finally:
                os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
