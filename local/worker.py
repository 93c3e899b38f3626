"""A worker process: `python -m local.worker --line FD [--stays]`.

Exit code 0 without a SIGTERM means that it found nothing to do and left.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from typing import TYPE_CHECKING

from local.line import Line, Problems, Ready, Stopped
from local.wake import LineWake

if TYPE_CHECKING:
    from bide.worker import Worker


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--line", type=int, required=True, help="descriptor of the line to the supervisor")
    parser.add_argument("--stays", action="store_true", help="stay when there is nothing to do")
    arguments = parser.parse_args()
    line = Line(arguments.line)
    with line.starting():
        worker = _prepare(line, stays=arguments.stays)
    asyncio.run(_work(worker, line))
    sys.stdout.flush()
    os._exit(0)  # without joining threads of plain functions that cannot be ended


def _prepare(line: Line, *, stays: bool) -> Worker:
    """Import and build everything. A worker's life may be short, and its start is most of it."""
    gc.disable()  # nothing of this is garbage: looking for some takes a tenth of the time
    from bide import registry
    from bide.settings import Settings
    from bide.worker import Worker

    settings = Settings.from_environ(os.environ)
    tasks = registry.load(settings.tasks, local=settings.local, strict=False)
    line.report(Problems.of(tasks.problems))
    worker = Worker(settings, tasks, settings.redis_url, stays=stays, wake=LineWake(line))
    gc.freeze()
    gc.enable()
    return worker


async def _work(worker: Worker, line: Line) -> None:
    def stop() -> None:
        worker.stop()
        line.report(Stopped())

    line.watch()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    line.report(Ready())
    await worker.run()
    line.report(Stopped())  # whoever needs a worker from now on needs another one


if __name__ == "__main__":
    main()
