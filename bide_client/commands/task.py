"""`bide show`, `attempts`, `event`, `cancel`, `retry` and `delete`: one task."""

from __future__ import annotations

import argparse
from typing import Final

from bide_client import exit_codes, render, tables
from bide_client.arguments import event_body
from bide_client.client import Client
from bide_client.commands.idempotency import key, repeatable_with
from bide_client.printable import printable
from bide_client.screen import emit, of_stdout
from bide_client.status import TaskStatus
from bide_client.words import Commands, Parser, add_id, command

EVENT_EXAMPLES: Final = """\
examples:
  bide event ID approved                      an event that says nothing: null
  bide event ID approved '{"by": "Ada"}'
  bide event ID approved '"Ada"'              a text, quoted as JSON does
  bide event ID report @report.json           from a file
  echo '[1, 2]' | bide event ID report -
  bide event ID approved --idempotency-key approval-17
                                              safe to run twice: one event

The task reads it with `await ctx.event("approved")`; one that comes early is kept.
"""

RETRY_EXAMPLES: Final = """\
examples:
  bide retry ID
  bide retry ID && bide watch ID              and see what comes of it

The failed task gets all its attempts again. To retry many: bide dead redrive
"""


def add(found: Commands[Parser]) -> None:
    """The words of each."""
    add_id(command(found, "show", show, "print a task"))
    add_id(command(found, "attempts", attempts, "print each attempt of a task: worker, times, outcome"))
    event = command(found, "event", send_event, "send a task an event", EVENT_EXAMPLES)
    add_id(event)
    event.add_argument("name", metavar="NAME", help="the event's name: a-z, 0-9, _ and -, at most 64")
    event.add_argument("body", metavar="JSON|@FILE|-", nargs="?", help="what it says (default: null)")
    event.add_argument("--idempotency-key", metavar="KEY", help="events with the same key are one event")
    add_id(command(found, "cancel", cancel, "cancel a task"))
    add_id(command(found, "retry", retry, "run a failed task again", RETRY_EXAMPLES))
    add_id(command(found, "delete", delete, "erase a finished task, with its result and log"))


def show(client: Client, options: argparse.Namespace) -> int:
    """Print a task."""
    status = client.task(options.id).status()
    _said(status, options, render.task(status))
    return exit_codes.OK


def attempts(client: Client, options: argparse.Namespace) -> int:
    """Print the attempts of a task, and below the traceback of the latest failure."""
    tried = client.task(options.id).attempts()
    if options.json:
        emit({"attempts": [attempt.json for attempt in tried]})
        return exit_codes.OK
    screen = of_stdout()
    screen.show(tables.attempts(tried) if tried else f"{options.id} has not begun an attempt")
    for attempt in tried:
        if attempt.traceback:
            screen.show(f"\nattempt {attempt.attempt}:\n{attempt.traceback.rstrip()}")
    return exit_codes.OK


def send_event(client: Client, options: argparse.Namespace) -> int:
    """Send a task an event, and say how the task is."""
    body, chosen = event_body(options.body), key(options)
    with repeatable_with(chosen):
        status = client.send_event(options.id, options.name, body, idempotency_key=chosen)
    _said(status, options, f"{options.name} is sent; {status.id} is {status.state}")
    return exit_codes.OK


def cancel(client: Client, options: argparse.Namespace) -> int:
    """Cancel a task and say whether that is done or under way."""
    status = client.task(options.id).cancel()
    running = f"{status.id} is {status.state}; it is asked to stop"
    _said(status, options, f"{status.id} is cancelled" if status.done else running)
    return exit_codes.OK


def retry(client: Client, options: argparse.Namespace) -> int:
    """Run a failed task again."""
    status = client.task(options.id).retry()
    _said(status, options, f"{status.id} is to run again; it is {status.state}")
    return exit_codes.OK


def delete(client: Client, options: argparse.Namespace) -> int:
    """Erase a finished task."""
    client.task(options.id).delete()
    if options.json:
        emit({"id": options.id, "deleted": True})
    else:
        print(f"{printable(options.id)} is deleted")
    return exit_codes.OK


def _said(status: TaskStatus, options: argparse.Namespace, text: str) -> None:
    """Print what is said of a task, or with --json the task."""
    if options.json:
        emit(status.json)
    else:
        print(printable(text))
