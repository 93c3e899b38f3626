"""A worker process: `python -m local.worker --line FD`.

Exit code 0 without a SIGTERM means that it found nothing to do and left.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys

from bide import process_log, registry
from bide.settings import Settings
from bide.worker.worker import Worker
from local.line import SERVE, Line, Problems, Ready, Stopped
from local.wake import LineWake


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--line", type=int, required=True, help="descriptor of the line to the supervisor")
    arguments = parser.parse_args()
    line = Line(arguments.line)
    with line.starting():
        settings = Settings.from_environ(os.environ)
        tasks = registry.load(settings.tasks, local=settings.local, strict=False)
        line.report(Problems.of(tasks.problems))
        worker = Worker(
            settings, tasks, settings.redis_url, stays=False, wake=LineWake(line),
            log=process_log.transitions(settings),
        )  # fmt: skip
        process_log.set_up(settings, worker.name)
    asyncio.run(_work(worker, line))
    sys.stdout.flush()
    os._exit(0)  # without joining threads of plain functions that cannot be ended


async def _work(worker: Worker, line: Line) -> None:
    loop = asyncio.get_running_loop()
    permitted = asyncio.Event()

    def stop() -> None:
        worker.stop()
        permitted.set()
        line.report(Stopped())

    line.watch(lambda command: loop.call_soon_threadsafe(permitted.set) if command == SERVE else None)
    loop.add_signal_handler(signal.SIGTERM, stop)
    line.report(Ready(worker.name))
    await permitted.wait()  # before it is replaced, the generation before this one has the places
    await worker.run()
    line.report(Stopped())  # whoever needs a worker from now on needs another one


if __name__ == "__main__":
    main()
