"""`bide server`: see, close, drain or open it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Final

from bide_client import exit_codes, render
from bide_client.client import Client
from bide_client.screen import emit, of_stdout, say
from bide_client.status import ServerStatus
from bide_client.table import Column, Line, Table
from bide_client.words import Commands, Parser, add_every, command, group, whole_seconds

EXAMPLES: Final = """\
examples:
  bide server status
  bide server close --reason "upgrade" --retry-after 60
  bide server drain --reason "upgrade"        close, and wait until no task is left
  bide server open
"""

DRAIN_EXAMPLES: Final = """\
examples:
  bide server drain --reason "upgrade"        close, and wait until no task is left
  bide server drain --reason "upgrade" --no-wait
  bide server drain --reason "upgrade" && make deploy STAGE=prod

Tasks that are delayed, or wait for somebody, are left too. Ctrl-C leaves the server closed.
"""


def add(found: Commands[Parser]) -> None:
    """The words of each."""
    verbs = group(found, "server", "see, close, drain or open the server", EXAMPLES)
    command(verbs, "status", status, "print whether it accepts submissions")
    _add_closing(command(verbs, "close", close, "refuse submissions; accepted tasks go on"))
    parser = command(verbs, "drain", drain, "close it, and wait until no task is left", DRAIN_EXAMPLES)
    _add_closing(parser)
    parser.add_argument("--no-wait", action="store_true", help="do not wait; print what is left by queue")
    add_every(parser, 1)
    command(verbs, "open", reopen, "accept submissions again")


def status(client: Client, options: argparse.Namespace) -> int:
    """Print whether the server accepts submissions."""
    return _print(client.server(), options)


def close(client: Client, options: argparse.Namespace) -> int:
    """Close the server for submissions."""
    return _print(client.close(options.reason, options.retry_after), options)


def reopen(client: Client, options: argparse.Namespace) -> int:
    """Open the server for submissions."""
    return _print(client.open(), options)


def drain(client: Client, options: argparse.Namespace) -> int:
    """Close the server; print how many tasks are left whenever that is new, until none is or it is opened."""
    closed = client.drain(options.reason, options.retry_after)
    if options.no_wait:
        _print(closed, options)
        if not options.json and closed.queues_left:
            of_stdout().show(_left(closed))
        return exit_codes.OK
    try:
        if options.json:
            for now in _falling(client, closed, options.every):
                emit(now.json)
        else:
            with of_stdout().line() as tell:
                for now in _falling(client, closed, options.every):
                    tell(Line(_drained(now)))
    except KeyboardInterrupt:
        say("the server stays closed. Open it with: bide server open")
        raise
    if now.accepting:
        say("somebody has opened the server again")
        return exit_codes.UNSUCCESSFUL
    return exit_codes.OK


def _falling(client: Client, now: ServerStatus, every: float) -> Iterator[ServerStatus]:
    """The closed server whenever another number of tasks is left; the last time with none, or opened."""
    before = None
    while True:
        if (now.left, now.accepting) != before:
            yield now
        before = now.left, now.accepting
        if now.accepting or not now.left:
            return
        time.sleep(every)
        now = client.server()


def _drained(now: ServerStatus) -> str:
    return "drained: no task is left" if now.left == 0 else f"draining: {render.left(now.left or 0)}"


def _left(closed: ServerStatus) -> Table:
    table = Table((Column("queue", whole=True), Column("left", right=True)))
    for queue, left in closed.queues_left.items():
        table.add(queue, f"{left:,}")
    return table


def _print(found: ServerStatus, options: argparse.Namespace) -> int:
    if options.json:
        emit(found.json)
    else:
        print(render.server(found))
    return exit_codes.OK


def _add_closing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", required=True, metavar="TEXT", help="what refused clients are told")
    parser.add_argument(
        "--retry-after", type=whole_seconds, metavar="SECONDS", help="when they are told to come back"
    )
