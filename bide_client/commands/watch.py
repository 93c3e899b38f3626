"""`bide watch` and `bide tail`: a task while it goes on."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Final

from bide_client import render
from bide_client.client import Client
from bide_client.commands.outcome import conclude, left_running
from bide_client.errors import ConnectionFailed, ServerFault
from bide_client.log import LogLine
from bide_client.outcomes import WaitTimeout
from bide_client.screen import emit, of_stdout, say
from bide_client.status import TaskStatus
from bide_client.table import Line, Marked
from bide_client.task import Task
from bide_client.words import Commands, Parser, add_every, add_id, command, whole

WATCH_EXAMPLES: Final = """\
examples:
  bide watch ID                               its state and progress until it is done, then its result
  bide watch ID --every 10                    look less often
  bide watch ID --json                        a document whenever something is new

It ends as the task does: with 0 when it has succeeded, else with 1.
"""

TAIL_EXAMPLES: Final = """\
examples:
  bide tail ID                                what it logs, while it runs
  bide tail ID --after 120                    only what follows line 120
  bide tail ID --json                         a document a line

Log lines, progress and events, until the task is done; then it ends as the task did:
with 0 when it has succeeded, else with 1. It needs an operator's key.
"""


def add(found: Commands[Parser]) -> None:
    """The words of both."""
    parser = command(
        found, "watch", watch, "see a task's state and progress until it is done", WATCH_EXAMPLES
    )
    add_id(parser)
    add_every(parser, 2)
    follow = command(found, "tail", tail, "see what a task logs until it is done", TAIL_EXAMPLES)
    add_id(follow)
    follow.add_argument(
        "--after",
        type=whole(0, 10**9),
        default=0,
        metavar="N",
        help="only lines after the one numbered N (default: all that are kept)",
    )


def watch(client: Client, options: argparse.Namespace) -> int:
    """Show how a task is whenever that is new, until it is done; then its result, or why it has none."""
    task = client.task(options.id)
    with left_running(task.id):
        if options.json:
            for status in _statuses(task, options.every):
                emit(status.json)
        else:
            with of_stdout().line() as tell:
                for status in _statuses(task, options.every):
                    tell(Line(_line(status), _fraction(status)))
    return conclude(status, quiet=options.json)


def tail(client: Client, options: argparse.Namespace) -> int:
    """Show the lines of a task's log as they are written; end as the task does."""
    task = client.task(options.id)
    screen, dropped = of_stdout(), 0
    with left_running(task.id):
        for page in task.log_pages(options.after):
            if page.dropped > dropped:
                kept = "line was" if page.dropped == 1 else "lines were"
                say(f"{page.dropped:,} {kept} not kept, since the task says so much")
                dropped = page.dropped
            for line in page.lines:
                if options.json:
                    emit(line.json)
                else:
                    screen.show(_log_line(line))
    return conclude(task.status(), quiet=True)


def _statuses(task: Task, every: float) -> Iterator[TaskStatus]:
    """The task whenever something of it is new, the last time when it is done."""
    status = task.status()
    yield status
    while not status.done:
        before = status
        try:
            status = task.wait(every)
        except WaitTimeout as error:
            status = error.task_status or status
        except (ConnectionFailed, ServerFault):
            status = task.status()  # has all of the client's patience with a server that restarts
        if status.json != before.json:
            yield status


def _line(status: TaskStatus) -> str:
    parts = [status.state]
    if status.attempt > 1:
        parts.append(f"attempt {status.attempt} of {status.max_attempts}")
    if status.run_at is not None and status.state in ("scheduled", "waiting", "retrying"):
        parts.append(f"until {render.time(status.run_at)}")
    if status.done and status.started_at and status.finished_at:
        parts.append(f"after {render.span((status.finished_at - status.started_at).total_seconds() * 1000)}")
    if status.error is not None and not status.done:
        parts.append(f"after {status.error.get('code', '')}")
    said = "" if status.done else render.progress(status.progress)
    return "  ".join([status.name, ", ".join(parts), *([said] if said else [])])


def _fraction(status: TaskStatus) -> float | None:
    fraction = (status.progress or {}).get("fraction")
    return float(fraction) if isinstance(fraction, int | float) and not status.done else None


def _log_line(line: LogLine) -> Marked:
    """Time, level, logger and message on a line; what follows a line end in the message is indented."""
    kind = line.level or line.kind
    source = f"{line.logger}: " if line.logger else ""
    done = f"{line.fraction:.0%}" if line.fraction is not None else ""
    said = "  ".join(filter(None, (done, source + (line.message or ""))))
    indented = said.rstrip().replace("\n", "\n    ")
    return Marked(f"{render.time(line.at)}  {kind:<8}  {indented}".rstrip(), kind)
