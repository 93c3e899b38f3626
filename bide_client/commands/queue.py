"""`bide queue`: how queues are; pause and resume one."""

from __future__ import annotations

import argparse
from typing import Final

from bide_client import exit_codes, tables
from bide_client.client import Client
from bide_client.queues import Queue
from bide_client.screen import emit, of_stdout
from bide_client.words import Commands, Parser, command, group

EXAMPLES: Final = """\
examples:
  bide queue list                             how many tasks has each, in which states?
  bide queue show mail
  bide queue pause mail                       it accepts tasks and starts none
  bide queue resume mail
"""


def add(found: Commands[Parser]) -> None:
    """The words of each."""
    verbs = group(found, "queue", "see, pause or resume queues", EXAMPLES)
    command(verbs, "list", list_queues, "how many tasks has each queue, in which states?")
    for name, run, help in (
        ("show", show, "print how a queue is"),
        ("pause", pause, "start no more tasks of a queue; it accepts them, and those that run go on"),
        ("resume", resume, "start the tasks of a paused queue again"),
    ):
        command(verbs, name, run, help).add_argument("queue", metavar="QUEUE", help="the queue's name")


def list_queues(client: Client, options: argparse.Namespace) -> int:
    """Print a line for each queue."""
    queues = client.queues()
    if options.json:
        emit({"queues": [queue.json for queue in queues]})
    else:
        of_stdout().show(tables.queues(queues))
    return exit_codes.OK


def show(client: Client, options: argparse.Namespace) -> int:
    """Print how a queue is."""
    queue = client.queue(options.queue)
    return _print(queue, options, *([f"{queue.name} is paused"] if queue.paused else []))


def pause(client: Client, options: argparse.Namespace) -> int:
    """Pause a queue."""
    queue = client.pause(options.queue)
    return _print(queue, options, f"{queue.name} is paused")


def resume(client: Client, options: argparse.Namespace) -> int:
    """Resume a queue."""
    queue = client.resume(options.queue)
    return _print(queue, options, f"{queue.name} is not paused")


def _print(queue: Queue, options: argparse.Namespace, *said: str) -> int:
    if options.json:
        emit(queue.json)
    else:
        of_stdout().show(*said, tables.queues([queue]))
    return exit_codes.OK
