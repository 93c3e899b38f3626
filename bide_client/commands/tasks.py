"""`bide list`, and how any list of tasks is read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from bide_client import exit_codes, tables
from bide_client.client import Client
from bide_client.listing import LONGEST_PAGE
from bide_client.screen import emit, of_stdout, say
from bide_client.status import STATES, TaskStatus
from bide_client.table import Table
from bide_client.words import Commands, Parser, command, suggest, whole

EXAMPLES: Final = """\
examples:
  bide list                                   the newest 50
  bide list --state running
  bide list --queue mail --tag nightly --limit 500
  bide list --name echo --limit 0 --json      all of them, a document a line

Newest first. States: scheduled, ready, running, waiting, retrying, succeeded, failed,
cancelled, expired. To act on what is listed:
  bide list --state failed --json | jq -r .id | xargs -n 1 bide retry
"""


def add(found: Commands[Parser]) -> None:
    """The words of it."""
    parser = command(found, "list", list_tasks, "list tasks, newest first", EXAMPLES)
    parser.add_argument("--queue", metavar="QUEUE", help="only those of this queue")
    parser.add_argument("--name", metavar="NAME", help="only those of this name")
    suggest(parser.add_argument("--state", metavar="STATE", help="only those in this state"), STATES)
    parser.add_argument("--tag", metavar="TAG", help="only those with this tag")
    add_limit(parser)


def add_limit(parser: argparse.ArgumentParser) -> None:
    """How many are shown."""
    parser.add_argument(
        "--limit", type=whole(0, 10**9), default=50, metavar="N", help="at most N; 0: all (default: 50)"
    )


def list_tasks(client: Client, options: argparse.Namespace) -> int:
    """Print the tasks that fit, as they are found."""
    pages = client.task_pages(
        queue=options.queue,
        name=options.name,
        state=options.state,
        tag=options.tag,
        page_size=page_size(options),
    )
    return print_pages(pages, options, tables.tasks)


def page_size(options: argparse.Namespace) -> int:
    """How many tasks to ask for at a time."""
    return min(options.limit or LONGEST_PAGE, LONGEST_PAGE)


def print_pages(
    pages: Iterable[Sequence[TaskStatus]],
    options: argparse.Namespace,
    rows: Callable[[Sequence[TaskStatus]], Table],
    fits: Callable[[TaskStatus], bool] = lambda _: True,
) -> int:
    """Print those that fit, up to --limit, as `rows` makes them, or with --json a document each."""
    shown = 0
    if options.json:
        for page, _ in _limited(pages, options.limit, fits):
            for task in page:
                emit(task.json)
        return exit_codes.OK
    with of_stdout().rows() as add:
        for page, looked_at in _limited(pages, options.limit, fits):
            shown += len(page)
            add(rows(page), looked_at)
    if sys.stderr.isatty() and not shown:
        say("no task fits")
    elif sys.stderr.isatty() and shown == options.limit:
        say(f"the first {shown:,}; there may be more: --limit N")
    return exit_codes.OK


def _limited(
    pages: Iterable[Sequence[TaskStatus]], limit: int, fits: Callable[[TaskStatus], bool]
) -> Iterator[tuple[Sequence[TaskStatus], int]]:
    """What fits of each page, up to `limit` tasks, 0 for all; and how many have been looked at.

    No page is asked for that is not needed.
    """
    left, looked_at = limit, 0
    for page in pages:
        fitting = [task for task in page if fits(task)]
        looked_at += len(page)
        yield fitting[:left] if limit else fitting, looked_at
        left -= len(fitting)
        if limit and left <= 0:
            return
