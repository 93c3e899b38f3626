"""The `bide` command: runs one command and turns what goes wrong into a message and an exit code."""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Final

from bide_client import exit_codes, parser, render
from bide_client.address import KeyExposed
from bide_client.client import Client, chosen_url
from bide_client.errors import (
    AccessDenied,
    BideError,
    ConnectionFailed,
    Forbidden,
    NotFound,
    NotUnique,
    ProblemError,
    QueueNotFound,
    Refused,
    ServerClosed,
    UsageError,
)
from bide_client.screen import say

_OF_OPERATORS: Final = {
    "done": exit_codes.OK,
    "misused": exit_codes.USAGE,
    "unreachable": exit_codes.UNREACHABLE,
    "mismatched": exit_codes.CODE_MISMATCHED,
    "faulty": exit_codes.FAULT_FOUND,
}
"""By how an operator command says that it has ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `bide` with these words (default: the process's) and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        print(end="", flush=True)
    except KeyboardInterrupt:
        say("interrupted")
        return exit_codes.INTERRUPTED
    except OSError as error:
        # Only writing the output can come here. What is left in the buffer must
        # not raise again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            say(f"cannot write the output: {error.strerror}")
        return exit_codes.OUTPUT_LOST
    return code


def _run(argv: Sequence[str]) -> int:
    options = parser.parse(argv)
    if hasattr(options, "operate"):
        options.url = chosen_url(options.url)
        return _OF_OPERATORS[options.operate(options)]
    try:
        with _client(options) as client:
            code: int = options.run(client, options)
            return code
    except BideError as error:
        if options.json and isinstance(error, ProblemError):
            print(render.document(error.problem))
        say(_message(error))
        return _exit_code(error)


def _client(options: argparse.Namespace) -> Client:
    """The client that a command uses; what it warns of is said as everything is. Raises UsageError."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", KeyExposed)
        client = Client(options.url, options.key)
    for warning in told:
        say(str(warning.message))
    return client


def _message(error: BideError) -> str:
    lines = [str(error)]
    if isinstance(error, Forbidden) or (isinstance(error, AccessDenied) and error.status == 401):
        lines.append("The key comes from BIDE_KEY or --key.")
    if isinstance(error, QueueNotFound):
        lines.append("See them with: bide queue list")
    if isinstance(error, NotUnique) and error.task:
        lines.append(f"See the unfinished one with: bide show {error.task}")
    if isinstance(error, ProblemError) and error.retry_after:
        lines.append(f"Try again in {error.retry_after:g} s.")
    return "\n".join([*lines, *getattr(error, "__notes__", [])])


def _exit_code(error: BideError) -> int:
    if isinstance(error, UsageError):
        return exit_codes.USAGE
    if isinstance(error, ConnectionFailed):
        return exit_codes.UNREACHABLE
    if isinstance(error, NotFound):
        return exit_codes.NOT_FOUND
    if isinstance(error, Refused):
        return exit_codes.REFUSED
    if isinstance(error, ServerClosed):
        return exit_codes.SERVER_CLOSED
    return exit_codes.SERVER_FAULT
