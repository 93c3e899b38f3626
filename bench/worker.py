"""A worker process that begins on command: `python -m bench.worker`.

Says `ready` once everything is imported, begins to work at the first line on its
standard input, and leaves in good order at the end of that input. Settings as usual.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from bide import process_log, registry
from bide.settings import Settings
from bide.worker.worker import Worker


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the bench, and with it the input here
    settings = Settings.from_environ(os.environ)
    tasks, log = registry.load(settings.tasks, local=True), process_log.transitions(settings)
    worker = Worker(settings, tasks, settings.redis_url, log=log)
    process_log.set_up(settings, worker.name)
    print("ready", flush=True)
    if os.read(sys.stdin.fileno(), 100):
        asyncio.run(_work(worker))


async def _work(worker: Worker) -> None:
    loop = asyncio.get_running_loop()

    def leave() -> None:
        loop.remove_reader(sys.stdin.fileno())
        worker.stop()

    loop.add_reader(sys.stdin.fileno(), leave)
    await worker.run()


if __name__ == "__main__":
    main()
