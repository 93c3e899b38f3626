"""The end of a task that was waited for."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator

from bide_client import exit_codes, render
from bide_client.errors import BideError
from bide_client.outcomes import WaitTimeout
from bide_client.screen import emit, say
from bide_client.status import TaskStatus
from bide_client.task import Task


def wait(task: Task, options: argparse.Namespace) -> int:
    """Wait for a task just submitted, as --wait says; print the result, or why there is none."""
    if sys.stderr.isatty():
        say(f"{task.id} accepted; waiting (Ctrl-C leaves it running)")
    try:
        with left_running(task.id):
            status = task.wait(options.wait)
    except WaitTimeout as error:
        if options.json and task.latest is not None:
            emit(task.latest.json)
        say(f"{error}; it goes on. See it with: bide show {task.id}")
        return exit_codes.WAIT_TIMEOUT
    except BideError as error:
        error.add_note(f"The task was accepted. See it later with: bide show {task.id}")
        raise
    if options.json:
        emit(status.json)
    return conclude(status, quiet=options.json)


@contextlib.contextmanager
def left_running(id: str) -> Iterator[None]:
    """Say, when Ctrl-C ends the waiting, that the task goes on."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"{id} goes on. See it with: bide show {id}; end it with: bide cancel {id}")
        raise


def conclude(status: TaskStatus, *, quiet: bool) -> int:
    """Print the result, unless `quiet`, or say why there is none; return the exit code."""
    if status.state == "succeeded":
        if not quiet:
            print(render.value(status.result))
        return exit_codes.OK
    error = status.error or {}
    why = f": {error['code']}: {error.get('message', '')}" if "code" in error else ""
    trace = f"\n{str(error['traceback']).rstrip()}" if error.get("traceback") else ""
    say(f"{status.id} {'was' if status.state == 'cancelled' else 'has'} {status.state}{why}{trace}")
    return exit_codes.UNSUCCESSFUL
