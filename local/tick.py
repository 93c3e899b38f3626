"""The tick process: `python -m local.tick --line FD`.

The one-machine stand-in of the scheduled run. It makes up for wakes and alarms that got
lost, and for the alarms of a stack that has ended since.
"""

from __future__ import annotations

import argparse
import logging
import os
import queue
import signal
from typing import Final

from bide import process_log
from bide.clock import Clock
from bide.connection import connect
from bide.errors import StoreError
from bide.keys import Keys
from bide.settings import Settings
from bide.store import Store
from bide.upkeep import Caretaker
from bide.wake import Waker
from local.line import LOOK, Line, Ready
from local.wake import LineWake

_PERIODS: Final = 2
"""What is due within so many periods gets an alarm; the next tick sees the rest in time."""

_log = logging.getLogger("bide.tick")

Turns = queue.SimpleQueue[list[str] | None]
"""Each a look, with the names of workers that have died; None ends it."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--line", type=int, required=True, help="descriptor of the line to the supervisor")
    arguments = parser.parse_args()
    line = Line(arguments.line)
    with line.starting():
        settings = Settings.from_environ(os.environ)
        process_log.set_up(settings)
        store = Store(
            connect(settings.redis_url), Keys(settings.prefix), Clock(), limits=settings.limits,
            records=settings.records, log=process_log.transitions(settings),
        )  # fmt: skip
        caretaker = Caretaker(store, Waker(store, LineWake(line)))
    turns: Turns = queue.SimpleQueue()  # its put may be called in a signal handler
    signal.signal(signal.SIGTERM, lambda *_: turns.put(None))
    line.watch(lambda command: turns.put(command.split()[1:]) if command.startswith(LOOK) else None)
    line.report(Ready())
    is_store_away, is_first, is_busy = False, True, False
    lost: list[str] | None = []
    unheard: list[str] = []  # workers that have died, of which the store does not know
    while lost is not None:
        unheard += lost
        try:
            while unheard:
                caretaker.lose(unheard[0])
                del unheard[0]
            within_ms = round(_PERIODS * settings.tick_seconds * 1000)
            report = caretaker.look(within_ms, every_alarm=True, afresh=is_first)
            is_store_away, is_first, is_busy = False, False, report.operating
        except StoreError as error:
            if not is_store_away:  # once, not at each tick
                _log.warning("waiting for the store: %s", error)
            is_store_away, is_busy = True, False
        # A bulk operation that is under way need not wait for the next period.
        lost = _next_turn(turns, 0 if is_busy else settings.tick_seconds)


def _next_turn(turns: Turns, seconds: float) -> list[str] | None:
    """Wait for a turn out of time, or until it is time; None when there is none any more."""
    try:
        return turns.get(timeout=seconds)
    except queue.Empty:
        return []


if __name__ == "__main__":
    main()
