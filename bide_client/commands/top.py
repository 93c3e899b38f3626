"""`bide top`: queues, workers and rates, live."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bide_client import exit_codes, render, tables
from bide_client.client import Client
from bide_client.commands import worker
from bide_client.queues import Queue
from bide_client.screen import emit, of_stdout, say
from bide_client.series import Series
from bide_client.status import ServerStatus
from bide_client.table import Block
from bide_client.words import Commands, Parser, add_every, command
from bide_client.workers import Worker

EXAMPLES: Final = """\
examples:
  bide top                                    queues, workers and rates, live; Ctrl-C ends it
  bide top --every 10
  bide top --once                             look once
  bide top | cat                              the same: once, as plain text
  bide top --json                             once, as one document
"""
RATE_MINUTES: Final = 5
"""The rates shown are those of the last minutes."""
MOST_TASKS: Final = 10
"""Running tasks that are shown, the longest running first."""


@dataclass(frozen=True)
class Look:
    """All that is shown, as of one look."""

    server: ServerStatus
    queues: Sequence[Queue]
    workers: tuple[Worker, ...]
    rates: Sequence[Series]


def add(found: Commands[Parser]) -> None:
    """The words of it."""
    parser = command(found, "top", top, "see queues, workers and rates, live", EXAMPLES)
    add_every(parser, 2)
    parser.add_argument("--once", action="store_true", help="look once")


def top(client: Client, options: argparse.Namespace) -> int:
    """Show queues, workers and rates, again and again on a terminal that can, else once."""
    look, screen = _look(client), of_stdout()
    if options.json:
        emit(_document(look))
        return exit_codes.OK
    if options.once or not screen.redraws:
        screen.show(*_blocks(look, client.url))
        if sys.stdout.isatty() and not options.once:
            say("for a live view: pip install '.[rich]'")
        return exit_codes.OK
    try:
        with screen.view() as draw:
            while True:
                draw(_blocks(look, client.url))
                time.sleep(options.every)
                look = _look(client)
    except KeyboardInterrupt:
        # Ctrl-C is how one leaves it; nothing is interrupted.
        return exit_codes.OK


def _look(client: Client) -> Look:
    rates = client.series(RATE_MINUTES)
    return Look(
        client.server(), client.queues(), client.workers(), [part for part in rates if part.name is None]
    )


def _blocks(look: Look, url: str) -> list[Block]:
    workers = render.counted(len(look.workers), "worker")
    held = render.counted(sum(one.tasks_total for one in look.workers), "task")
    rate = sum(part.per_minute for part in look.rates)
    head = f"{workers} with {held}, {render.rate(rate)} done a minute over the last {RATE_MINUTES}"
    blocks: list[Block] = [url, render.server(look.server), head, "", tables.queues(look.queues, look.rates)]
    return blocks + (["", *worker.blocks(look.workers, MOST_TASKS)] if look.workers else [])


def _document(look: Look) -> dict[str, object]:
    return {
        "server": look.server.json,
        "queues": [queue.json for queue in look.queues],
        "workers": [one.json for one in look.workers],
        "series": [part.json for part in look.rates],
    }
