"""`bide submit` and `bide batch`."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from typing import Any, Final

from bide_client import exit_codes
from bide_client.arguments import arguments, batch_lines
from bide_client.batch import MOST_ITEMS
from bide_client.client import Client
from bide_client.commands.idempotency import key, repeatable_with
from bide_client.commands.outcome import wait
from bide_client.errors import BideError, ProblemError, UsageError
from bide_client.printable import printable
from bide_client.screen import emit, say
from bide_client.submission import Submission
from bide_client.task import Task
from bide_client.words import NUMBER, Commands, Parser, command, seconds, whole

SUBMIT_EXAMPLES: Final = """\
examples:
  bide submit echo value=1                    the number 1
  bide submit echo value=hello                the text hello, since that is no JSON
  bide submit echo value='"1"'                the text 1
  bide submit echo value='{"a": [true, null]}'
  bide submit echo --args @args.json --wait 10
  echo '{"value": 1}' | bide submit echo --args - --wait
  bide submit echo value=1 --idempotency-key order-17
                                              safe to run twice: one task
  bide submit echo value=1 --priority 9 --tag nightly --tag eu
  bide submit echo value=1 --unique report    refused while another with it is unfinished

A value is taken as JSON if it is JSON, else as text. To be sure of text, quote
it as JSON does: zip='"01234"'.
"""

BATCH_EXAMPLES: Final = """\
examples:
  bide batch @tasks.jsonl                     a submission a line; print an id a line
  seq 1000 | sed 's/.*/{"name": "echo", "args": {"value": &}}/' | bide batch -

A line is a JSON object: "name", and if wanted "args", "queue", "delay", "run_at",
"priority", "expires", "unique", "tags" and "idempotency_key". A line without a key
of its own gets one, so that a lost answer makes no second task. For a line that the
server refuses, an empty line is printed, and the reason is said on stderr.
"""

_FIELDS: Final = {
    "queue", "delay", "run_at", "priority", "expires", "unique", "tags", "idempotency_key",
}  # fmt: skip


def add(found: Commands[Parser]) -> None:
    """The words of both."""
    parser = command(found, "submit", submit, "submit a task", SUBMIT_EXAMPLES)
    parser.add_argument("name", metavar="NAME", help="the task's name")
    parser.add_argument(
        "arguments", nargs="*", default=(), metavar="key=value", help="its arguments; values as above"
    )
    parser.add_argument(
        "--args", metavar="JSON|@FILE|-", help="arguments as a JSON object; a key=value replaces what it says"
    )
    parser.add_argument("--queue", metavar="QUEUE", help="the queue (default: the task's own)")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--delay", type=seconds, metavar="SECONDS", help="start it that much later")
    when.add_argument("--run-at", metavar="TIME", help="start it then, such as 2026-11-23T21:00:00Z")
    parser.add_argument(
        "--priority", type=whole(0, 9), metavar="0-9", help="9 goes first (default: the task's own, else 0)"
    )
    parser.add_argument(
        "--expires", type=seconds, metavar="SECONDS", help="from then on it is too late to start it"
    )
    parser.add_argument("--unique", metavar="TEXT", help="only one task with it may be unfinished")
    parser.add_argument(
        "--tag", action="append", metavar="TAG", help="a word to find it by; may be given up to 8 times"
    )
    parser.add_argument("--idempotency-key", metavar="KEY", help="submissions with the same key are one task")
    parser.add_argument(
        "--wait",
        type=seconds,
        nargs="?",
        const=math.inf,
        metavar="SECONDS",
        help="wait until it is done, at most SECONDS (default: for ever), and print the result",
    )
    many = command(found, "batch", batch, "submit many tasks, a line of JSON each", BATCH_EXAMPLES)
    many.add_argument("lines", metavar="@FILE|-", help="the lines; - is standard input")


def submit(client: Client, options: argparse.Namespace) -> int:
    """Submit a task; print its id, or with --wait its result."""
    args = arguments(options.arguments, options.args)
    chosen = key(options)
    submitter = client.options(
        queue=options.queue,
        delay=options.delay,
        run_at=options.run_at,
        priority=options.priority,
        expires=options.expires,
        unique=options.unique,
        tags=options.tag or (),
        idempotency_key=chosen,
    )
    with repeatable_with(chosen):
        task = submitter.submit(options.name, **args)
    if options.wait is not None:
        return wait(task, options)
    if options.json and task.latest is not None:
        emit(task.latest.json)
    else:
        print(printable(task.id))
        if sys.stderr.isatty():
            say(f"accepted; see it with: bide show {task.id}")
    return exit_codes.OK


def batch(client: Client, options: argparse.Namespace) -> int:
    """Submit the lines, up to 100 in a request; print for each its id, or with --json the server's item."""
    prepared = [_prepared(client, number, line) for number, line in batch_lines(options.lines)]
    refused = 0
    for start in range(0, len(prepared), MOST_ITEMS):
        part = prepared[start : start + MOST_ITEMS]
        for (number, _), outcome in zip(part, _sent(client, part, start), strict=True):
            if isinstance(outcome, ProblemError):
                refused += 1
                say(f"line {number}: {outcome}")
            _print_item(outcome, options)
    if sys.stderr.isatty() or refused:
        say(f"{len(prepared) - refused:,} accepted, {refused:,} refused")
    return exit_codes.REFUSED if refused else exit_codes.OK


def _sent(
    client: Client, part: Sequence[tuple[int, Submission]], before: int
) -> Sequence[Task | ProblemError]:
    try:
        return client.submit_many(submission for _, submission in part)
    except BideError as error:
        error.add_note(
            f"The {before:,} submissions before line {part[0][0]} have been answered; no other has."
        )
        raise


def _print_item(outcome: Task | ProblemError, options: argparse.Namespace) -> None:
    if isinstance(outcome, ProblemError):
        if options.json:
            emit({"problem": outcome.problem})
        else:
            print()
    elif options.json and outcome.latest is not None:
        emit({"task": outcome.latest.json})
    else:
        print(printable(outcome.id))


def _prepared(client: Client, number: int, line: dict[str, Any]) -> tuple[int, Submission]:
    name, args = line.get("name"), line.get("args", {})
    if not isinstance(name, str) or not isinstance(args, dict):
        raise UsageError(f'line {number}: it needs a "name", and "args" must be an object')
    chosen = {field: value for field, value in line.items() if field not in ("name", "args")}
    if strays := chosen.keys() - _FIELDS:
        raise UsageError(f"line {number}: there is no field {', '.join(map(repr, sorted(strays)))}")
    try:
        return number, client.options(**chosen).prepare(name, **args)
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"line {number}: {error}") from error


def wait_bound(argv: Sequence[str]) -> list[str]:
    """The words with each `--wait` bound to the number after it, or else to "for ever".

    argparse would take any next word as its value, even the task's name.
    """
    before, after = parted(argv)
    words: list[str] = []
    for word in before:
        if words and words[-1] == "--wait" and NUMBER.fullmatch(word):
            words[-1] = f"--wait={word}"
        else:
            words.append(word)
    bound = ["--wait=inf" if word == "--wait" else word for word in words]
    return [*bound, "--", *after] if after else bound


def parted(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before and after the first `--`, after which nothing is an option."""
    end = words.index("--") if "--" in words else len(words)
    return list(words[:end]), list(words[end + 1 :])
