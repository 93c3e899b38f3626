"""The tick process: `python -m local.tick --line FD`.

The one-machine stand-in of the scheduled run: upkeep of every slot, a report when work is
ready, and an alarm for what is due soon. It makes up for wakes and alarms that got lost,
and for the alarms of a stack that has ended since.
"""

from __future__ import annotations

import argparse
import os
import queue
import signal
import sys
from collections.abc import Iterator
from typing import Final

from bide.clock import Clock
from bide.connection import connect
from bide.errors import StoreError
from bide.keys import Keys
from bide.settings import Settings
from bide.store import Store
from local.line import LOOK, Alarm, Line, Need, Ready, Report

_PERIODS: Final = 2
"""What is due within so many periods gets an alarm; the next tick sees the rest in time."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--line", type=int, required=True, help="descriptor of the line to the supervisor")
    arguments = parser.parse_args()
    line = Line(arguments.line)
    with line.starting():
        settings = Settings.from_environ(os.environ)
        store = Store(connect(settings.redis_url), Keys(settings.prefix), Clock())
    turns: queue.SimpleQueue[bool] = queue.SimpleQueue()  # its put may be called in a signal handler
    signal.signal(signal.SIGTERM, lambda *_: turns.put(False))
    line.watch(lambda command: turns.put(True) if command == LOOK else None)
    line.report(Ready())
    is_store_away = False
    goes_on = True
    while goes_on:
        try:
            for report in _look(store, within_ms=round(_PERIODS * settings.tick_seconds * 1000)):
                line.report(report)
            is_store_away = False
        except StoreError as error:
            if not is_store_away:  # once, not at each tick
                print(f"tick: waiting for the store: {error}", file=sys.stderr, flush=True)
            is_store_away = True
        goes_on = _next_turn(turns, settings.tick_seconds)


def _next_turn(turns: queue.SimpleQueue[bool], seconds: float) -> bool:
    """Wait for a turn out of time, or until it is time; False when there is none any more."""
    try:
        return turns.get(timeout=seconds)
    except queue.Empty:
        return True


def _look(store: Store, within_ms: int) -> Iterator[Report]:
    """Upkeep of every slot; yields what it takes that somebody sees to what is ready or due soon."""
    found = [store.tick(slot) for slot in store.slots()]
    if any(upkeep.ready for upkeep in found):
        yield Need(1)
    due = [upkeep.next_due_ms for upkeep in found if upkeep.next_due_ms >= 0]
    if due and (delay_ms := min(due) - store.now_ms()) <= within_ms:
        yield Alarm(max(0, delay_ms))


if __name__ == "__main__":
    main()
