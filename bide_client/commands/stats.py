"""`bide stats`: what tasks came to, and how fast they started and ran."""

from __future__ import annotations

import argparse
from typing import Final

from bide_client import exit_codes, render, tables
from bide_client.client import Client
from bide_client.errors import UsageError
from bide_client.screen import emit, of_stdout
from bide_client.words import Commands, Parser, command, whole

EXAMPLES: Final = """\
examples:
  bide stats                                  what did tasks wait, what did it cost?
  bide stats --series                         how fast did they start and run, in the last hour?
  bide stats --series --minutes 1440 --queue mail
  bide stats --series --name echo --json      minute by minute
"""
_MINUTES: Final = 60


def add(found: Commands[Parser]) -> None:
    """The words of it."""
    parser = command(found, "stats", stats, "print what all tasks waited, and what that cost", EXAMPLES)
    parser.add_argument(
        "--series", action="store_true", help="start delay and run time by queue and task, instead"
    )
    parser.add_argument(
        "--minutes",
        type=whole(1, 1440),
        metavar="N",
        help=f"of the last N (default: {_MINUTES}; at most 1440)",
    )
    parser.add_argument("--queue", metavar="QUEUE", help="of this queue alone")
    parser.add_argument("--name", metavar="NAME", help="of this task alone")


def stats(client: Client, options: argparse.Namespace) -> int:
    """Print what all tasks came to, or with --series how fast they were."""
    if options.series:
        return _series(client, options)
    if options.minutes or options.queue or options.name:
        raise UsageError("--minutes, --queue and --name go with --series")
    totals = client.stats()
    if options.json:
        emit(totals.json)
    else:
        print(render.stats(totals))
    return exit_codes.OK


def _series(client: Client, options: argparse.Namespace) -> int:
    minutes = options.minutes or _MINUTES
    found = client.series(minutes, queue=options.queue, name=options.name)
    if options.json:
        emit({"minutes": minutes, "series": [part.json for part in found]})
    elif found:
        of_stdout().show(tables.series(found))
    else:
        of_stdout().show(f"no task has ended in the last {minutes} minutes")
    return exit_codes.OK
