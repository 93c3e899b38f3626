"""`bide dead`: tasks that failed for good; redrive or purge many of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, Final

from bide_client import exit_codes, tables
from bide_client.client import Client
from bide_client.commands.idempotency import may_be_accepted
from bide_client.commands.operation import follow, summary
from bide_client.commands.tasks import add_limit, page_size, print_pages
from bide_client.errors import ConnectionFailed, ServerFault, UsageError
from bide_client.listing import LONGEST_PAGE
from bide_client.operation import Operation
from bide_client.printable import one_line
from bide_client.screen import emit, of_stdout, say
from bide_client.status import TaskStatus
from bide_client.words import Commands, Parser, command, group, rate

EXAMPLES: Final = """\
examples:
  bide dead list                              which tasks failed for good, and why?
  bide dead list --queue mail --code TIMEOUT
  bide dead redrive mail --code TIMEOUT       count them, ask, and run them again
  bide dead redrive mail --rate 10 --yes      at most 10 a second, without a question
  bide dead purge mail --tag nightly          count them, ask, and erase them
"""

_BULK_EXAMPLES: Final = """\
examples:
  bide dead {verb} mail                        count them, ask, and {what} them
  bide dead {verb} mail --dry-run              only count them
  bide dead {verb} mail --name send --code TIMEOUT --yes

The server goes on by itself, whatever becomes of this command: see bide operation.
"""


def add(found: Commands[Parser]) -> None:
    """The words of each."""
    verbs = group(found, "dead", "list, redrive or purge the tasks that failed for good", EXAMPLES)
    listed = command(verbs, "list", list_dead, "list failed tasks, and why they failed, newest first")
    listed.add_argument("--queue", metavar="QUEUE", help="only those of this queue")
    _add_filters(listed)
    add_limit(listed)
    again = _add_bulk(verbs, "redrive", redrive, "run the failed tasks of a queue again", "redrive")
    again.add_argument("--rate", type=rate, metavar="N", help="at most N tasks a second (default: no limit)")
    _add_bulk(verbs, "purge", purge, "erase the failed tasks of a queue", "erase")


def list_dead(client: Client, options: argparse.Namespace) -> int:
    """Print the failed tasks that fit. The server knows no filter by code: that is done here."""
    size = page_size(options) if options.code is None else LONGEST_PAGE
    pages = client.task_pages(
        queue=options.queue, name=options.name, state="failed", tag=options.tag, page_size=size
    )
    return print_pages(pages, options, tables.dead, lambda task: _fits(task, options.code))


def redrive(client: Client, options: argparse.Namespace) -> int:
    """Count the tasks that fit, ask, have the server run them again, and follow that."""

    def begin(dry_run: bool) -> Operation:
        chosen = _filters(options)
        return client.redrive(options.queue, dry_run=dry_run, rate=options.rate, **chosen)

    return _bulk(client, options, begin, "Run {} again?")


def purge(client: Client, options: argparse.Namespace) -> int:
    """Count the tasks that fit, ask, have the server erase them, and follow that."""

    def begin(dry_run: bool) -> Operation:
        return client.purge(options.queue, dry_run=dry_run, **_filters(options))

    return _bulk(client, options, begin, "Erase {}, with all that is known of {}?")


def _bulk(
    client: Client, options: argparse.Namespace, begin: Callable[[bool], Operation], question: str
) -> int:
    if not (options.yes or options.dry_run or sys.stdin.isatty()):
        raise UsageError("Nobody is there to be asked before it begins: add --yes, or --dry-run")
    counted = _done(client, begin(True), quiet=options.json)
    if options.dry_run or not counted.matched:
        return _end(counted, options)
    if not options.yes and not _agreed(question.format(*_so_many(counted.matched))):
        say("nothing has been changed")
        return exit_codes.OK
    try:
        begun = begin(False)
    except (ConnectionFailed, ServerFault) as error:
        if may_be_accepted(error):
            error.add_note("Perhaps it has begun: see bide operation list")
        raise
    return _end(_done(client, begun, quiet=options.json), options)


def _done(client: Client, begun: Operation, *, quiet: bool) -> Operation:
    """The operation when it is done; how it goes on is shown unless `quiet`."""
    if begun.done:
        if not quiet:
            of_stdout().show(summary(begun))
        return begun
    if not quiet:
        return follow(client, begun.id)
    *_, last = client.follow(begun.id)
    return last


def _end(operation: Operation, options: argparse.Namespace) -> int:
    if options.json:
        emit(operation.json)
    return exit_codes.OK


def _so_many(tasks: int) -> tuple[str, str]:
    return ("this failed task", "it") if tasks == 1 else (f"these {tasks:,} failed tasks", "them")


def _agreed(question: str) -> bool:
    print(f"{one_line(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    answer = ""
    try:
        answer = sys.stdin.readline()
    finally:
        if not answer:  # Ctrl-C, or the end of the input, leaves the cursor behind the question
            print(file=sys.stderr)
    return answer.strip().lower() in ("y", "yes")


def _fits(task: TaskStatus, code: str | None) -> bool:
    return code is None or (task.error or {}).get("code") == code


def _filters(options: argparse.Namespace) -> dict[str, Any]:
    return {"name": options.name, "tag": options.tag, "code": options.code}


def _add_bulk(
    verbs: Commands[Parser], verb: str, run: Callable[..., int], help: str, what: str
) -> argparse.ArgumentParser:
    parser = command(verbs, verb, run, help, _BULK_EXAMPLES.format(verb=verb, what=what))
    parser.add_argument("queue", metavar="QUEUE", help="the queue's name")
    _add_filters(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="only count them")
    how.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", metavar="NAME", help="only those of this name")
    parser.add_argument("--tag", metavar="TAG", help="only those with this tag")
    parser.add_argument("--code", metavar="CODE", help="only those that failed with this code")
