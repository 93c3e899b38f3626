"""The tick process: `python -m local.tick --line FD`.

The one-machine stand-in of the scheduled run: upkeep of every slot, and a report of
what is ready, so that the supervisor can start a worker when none is there.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading

from bide.clock import Clock
from bide.connection import connect
from bide.errors import StoreError
from bide.keys import Keys
from bide.settings import Settings
from bide.store import Store
from local.line import Line, Need, Ready


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--line", type=int, required=True, help="descriptor of the line to the supervisor")
    arguments = parser.parse_args()
    line = Line(arguments.line)
    with line.starting():
        settings = Settings.from_environ(os.environ)
        store = Store(connect(settings.redis_url), Keys(settings.prefix), Clock())
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    line.watch()
    line.report(Ready())
    is_store_away = False
    while not stopping.wait(settings.tick_seconds):
        try:
            ready = sum(store.tick(slot).ready for slot in store.slots())
        except StoreError as error:
            if not is_store_away:  # once, not at each tick
                print(f"tick: waiting for the store: {error}", file=sys.stderr, flush=True)
            is_store_away = True
            continue
        is_store_away = False
        if ready:
            line.report(Need(ready))


if __name__ == "__main__":
    main()
