"""What each command does: ask, print, and return an exit code.

Results go to stdout, everything said about them to stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import uuid
from collections.abc import Iterator

from bide_client import exit_codes, render
from bide_client.arguments import arguments, event_body
from bide_client.client import Client
from bide_client.errors import BideError, ConnectionFailed, ServerClosed, ServerFault
from bide_client.outcomes import WaitTimeout
from bide_client.status import ServerStatus, TaskStatus
from bide_client.task import Task


def submit(client: Client, options: argparse.Namespace) -> int:
    """Submit a task; print its id, or with --wait its result."""
    args = arguments(options.arguments, options.args)
    key = _key(options)
    submitter = client.options(
        queue=options.queue, delay=options.delay, run_at=options.run_at, idempotency_key=key
    )
    with _repeatable_with(key):
        task = submitter.submit(options.name, **args)
    if options.wait is not None:
        return _wait(task, options)
    if options.json:
        _print_task(task, options)
    else:
        print(task.id)
        if sys.stderr.isatty():
            say(f"accepted; see it with: bide show {task.id}")
    return exit_codes.OK


def show(client: Client, options: argparse.Namespace) -> int:
    """Print a task."""
    task = client.task(options.id)
    task.status()
    _print_task(task, options)
    return exit_codes.OK


def cancel(client: Client, options: argparse.Namespace) -> int:
    """Cancel a task and say whether that is done or under way."""
    task = client.task(options.id)
    status = task.cancel()
    if options.json:
        _print_task(task, options)
    elif status.done:
        print(f"{task.id} is cancelled")
    else:
        print(f"{task.id} is {render.printable(status.state)}; it is asked to stop")
    return exit_codes.OK


def send_event(client: Client, options: argparse.Namespace) -> int:
    """Send a task an event, and say how the task is."""
    body, key = event_body(options.body), _key(options)
    task = client.task(options.id)
    with _repeatable_with(key):
        status = task.send_event(options.name, body, idempotency_key=key)
    if options.json:
        print(render.document(status.json))
    else:
        print(f"{options.name} is sent; {task.id} is {render.printable(status.state)}")
    return exit_codes.OK


def show_stats(client: Client, options: argparse.Namespace) -> int:
    """Print what all tasks came to."""
    stats = client.stats()
    print(render.document(stats.json) if options.json else render.stats(stats))
    return exit_codes.OK


def server_status(client: Client, options: argparse.Namespace) -> int:
    """Print whether the server accepts submissions."""
    return _print_server(client.server(), options)


def server_close(client: Client, options: argparse.Namespace) -> int:
    """Close the server for submissions."""
    return _print_server(client.close(options.reason, options.retry_after), options)


def server_open(client: Client, options: argparse.Namespace) -> int:
    """Open the server for submissions."""
    return _print_server(client.open(), options)


def say(message: str) -> None:
    """Tell people something that is not the output."""
    print(f"bide: {render.printable(message)}", file=sys.stderr)


def _key(options: argparse.Namespace) -> str:
    """The chosen Idempotency-Key, else a new one."""
    return str(uuid.uuid4()) if options.idempotency_key is None else str(options.idempotency_key)


@contextlib.contextmanager
def _repeatable_with(key: str) -> Iterator[None]:
    """Tell the key where it remains unknown whether what was sent with it has been accepted."""
    try:
        yield
    except (ConnectionFailed, ServerFault) as error:
        if _may_be_accepted(error):
            error.add_note(f"Perhaps it was accepted: to repeat it safely, add --idempotency-key {key}")
        raise


def _may_be_accepted(error: ConnectionFailed | ServerFault) -> bool:
    """Whether what was sent may have been recorded although no answer says so."""
    if isinstance(error, ConnectionFailed):
        return error.may_have_arrived or error.attempts > 1
    return not isinstance(error, ServerClosed) and error.code != "NOT_CONFIGURED"


def _wait(task: Task, options: argparse.Namespace) -> int:
    """Wait as --wait says; print the result, or why there is none."""
    if sys.stderr.isatty():
        say(f"{task.id} accepted; waiting (Ctrl-C leaves it running)")
    try:
        status = task.wait(options.wait)
    except WaitTimeout as error:
        if options.json:
            _print_task(task, options)
        say(f"{error}; it goes on. See it with: bide show {task.id}")
        return exit_codes.WAIT_TIMEOUT
    except KeyboardInterrupt:
        say(f"{task.id} goes on. See it with: bide show {task.id}; end it with: bide cancel {task.id}")
        raise
    except BideError as error:
        error.add_note(f"The task was accepted. See it later with: bide show {task.id}")
        raise
    return _print_outcome(status, options)


def _print_outcome(status: TaskStatus, options: argparse.Namespace) -> int:
    if options.json:
        print(render.document(status.json))
    elif status.state == "succeeded":
        print(render.value(status.result))
    if status.state == "succeeded":
        return exit_codes.OK
    error = status.error or {}
    why = f": {error['code']}: {error.get('message', '')}" if "code" in error else ""
    trace = f"\n{str(error['traceback']).rstrip()}" if error.get("traceback") else ""
    say(f"{status.id} {'was' if status.state == 'cancelled' else 'has'} {status.state}{why}{trace}")
    return exit_codes.TASK_UNSUCCESSFUL


def _print_task(task: Task, options: argparse.Namespace) -> None:
    if (status := task.latest) is not None:
        print(render.document(status.json) if options.json else render.task(status))


def _print_server(status: ServerStatus, options: argparse.Namespace) -> int:
    print(render.document(status.json) if options.json else render.server(status))
    return exit_codes.OK
