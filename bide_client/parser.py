"""The command line of `bide`: its words, options and help."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from typing import Any, Final, NoReturn

from bide_client import commands, exit_codes, operators
from bide_client.client import DEFAULT_URL
from bide_client.version import __version__

EXAMPLES: Final = """\
examples:
  bide submit echo value=1 --wait             submit a task, wait, print its result
  bide submit http_check url=https://example.com
                                              submit a task, print its id
  bide submit sleep seconds=2 --delay 60 --queue slow
  bide submit echo --args '{"value": [1, 2]}' --wait 10
  bide show ID                                how is it? what came of it?
  bide event ID approved '{"by": "Ada"}'      send it an event
  bide cancel ID
  bide stats                                  what do tasks wait, what does it cost?
  bide server close --reason "upgrade" --retry-after 60
  bide server open
  bide check                                  before a deploy: do the tasks in flight fit?
  bide doctor                                 is the server well?
  bide cost --tasks 10000 --wait 8h           what would that cost, here and elsewhere?
  bide scaling simulate TRACE.csv             what would the autoscaler make of it?
"""

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

A value is taken as JSON if it is JSON, else as text. To be sure of text, quote
it as JSON does: zip='"01234"'.
"""

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

_NUMBER: Final = re.compile(r"\d+(\.\d*)?|\.\d+")


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints fit on two lines."""

    entry: EntryPoint | None = None
    """Of an operator's command, which is loaded when it is chosen."""

    def error(self, message: str) -> NoReturn:
        self.exit(exit_codes.USAGE, f"bide: {message}\nTry: {self.prog} --help\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self.entry is not None:
            try:
                command = operators.load(self.entry)
            except operators.NotInstalled as error:
                self.exit(exit_codes.USAGE, f"bide: {error}\n")
            _add_json(self, keep=True)
            self.set_defaults(operate=command.run)
            command.add_options(self)
        return super().parse_known_args(args, namespace)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line; `run` holds its command, or `operate` an operator's.

    Ends the process on --help, --version and mistakes.
    """
    parser = build()
    first = next((word for word in argv if word == "submit" or word in operators.found()), "submit")
    options, unread = parser.parse_known_args(_wait_bound(argv) if first == "submit" else argv)
    if options.command == "submit":
        # argparse does not read key=value words that follow an option.
        before, after = _parted(unread)
        options.arguments += [word for word in before if not word.startswith("-")] + after
        unread = [word for word in before if word.startswith("-")]
    if unread:
        parser.error(f"unrecognized arguments: {' '.join(unread)}")
    return options


def build() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog="bide",
        description=EXAMPLES,
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_globals(parser)
    parser.add_argument(
        "--version", action="version", version=f"bide {__version__}", help="print the version and exit"
    )
    found = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="command")
    _add_submit(_command(found, "submit", commands.submit, "submit a task", SUBMIT_EXAMPLES))
    _command(found, "show", commands.show, "print a task").add_argument("id", metavar="ID")
    _command(found, "cancel", commands.cancel, "cancel a task").add_argument("id", metavar="ID")
    _add_event(_command(found, "event", commands.send_event, "send a task an event", EVENT_EXAMPLES))
    _command(found, "stats", commands.show_stats, "print what all tasks waited, and what that cost")
    server = found.add_parser("server", help="see, close or open the server", allow_abbrev=False)
    _add_globals(server, keep=True)
    verbs = server.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="verb")
    _command(verbs, "status", commands.server_status, "print whether it accepts submissions")
    close = _command(verbs, "close", commands.server_close, "refuse submissions; accepted tasks go on")
    close.add_argument("--reason", required=True, metavar="TEXT", help="what refused clients are told")
    close.add_argument(
        "--retry-after", type=_whole_seconds, metavar="SECONDS", help="when they are told to come back"
    )
    _command(verbs, "open", commands.server_open, "accept submissions again")
    _add_operators(found)
    return parser


def _add_operators(found: argparse._SubParsersAction[_Parser]) -> None:
    for name, entry in operators.found().items():
        if name not in found.choices:
            parser = found.add_parser(name, help=operators.HELP.get(name), allow_abbrev=False)
            parser.entry = entry


def _command(
    found: argparse._SubParsersAction[_Parser],
    name: str,
    run: Callable[..., int],
    help: str,
    examples: str | None = None,
) -> argparse.ArgumentParser:
    parser = found.add_parser(
        name,
        help=help,
        description=examples or f"{help[0].upper()}{help[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_globals(parser, keep=True)
    parser.set_defaults(run=run)
    return parser


def _add_globals(parser: argparse.ArgumentParser, *, keep: bool = False) -> None:
    """Options that may stand before or after the command; after it, `keep` what was said before."""
    text = argparse.SUPPRESS if keep else None
    parser.add_argument("--url", default=text, help=f"the server (default: BIDE_URL, else {DEFAULT_URL})")
    parser.add_argument("--key", default=text, help="the API key (default: BIDE_KEY, which `ps` hides)")
    _add_json(parser, keep=keep)


def _add_json(parser: argparse.ArgumentParser, *, keep: bool) -> None:
    flag = argparse.SUPPRESS if keep else False
    parser.add_argument(
        "--json", action="store_true", default=flag, help="print JSON, one document on one line"
    )


def _add_submit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the task's name")
    parser.add_argument("arguments", nargs="*", metavar="key=value", help="its arguments; values as above")
    parser.add_argument(
        "--args", metavar="JSON|@FILE|-", help="arguments as a JSON object; a key=value replaces what it says"
    )
    parser.add_argument("--queue", metavar="QUEUE", help="the queue (default: the task's own)")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--delay", type=_seconds, metavar="SECONDS", help="start it that much later")
    when.add_argument("--run-at", metavar="TIME", help="start it then, such as 2026-11-23T21:00:00Z")
    parser.add_argument("--idempotency-key", metavar="KEY", help="submissions with the same key are one task")
    parser.add_argument(
        "--wait",
        type=_seconds,
        nargs="?",
        metavar="SECONDS",
        help="wait until it is done, at most SECONDS (default: for ever), and print the result",
    )


def _add_event(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="the task's id")
    parser.add_argument("name", metavar="NAME", help="the event's name: a-z, 0-9, _ and -, at most 64")
    parser.add_argument("body", metavar="JSON|@FILE|-", nargs="?", help="what it says (default: null)")
    parser.add_argument("--idempotency-key", metavar="KEY", help="events with the same key are one event")


def _wait_bound(argv: Sequence[str]) -> list[str]:
    """The words with each `--wait` bound to the number after it, or else to "for ever".

    argparse would take any next word as its value, even the task's name.
    """
    before, after = _parted(argv)
    words: list[str] = []
    for word in before:
        if words and words[-1] == "--wait" and _NUMBER.fullmatch(word):
            words[-1] = f"--wait={word}"
        else:
            words.append(word)
    bound = ["--wait=inf" if word == "--wait" else word for word in words]
    return [*bound, "--", *after] if after else bound


def _parted(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before and after the first `--`, after which nothing is an option."""
    end = words.index("--") if "--" in words else len(words)
    return list(words[:end]), list(words[end + 1 :])


def _seconds(text: str) -> float:
    if text == "inf":
        return math.inf
    if not _NUMBER.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return float(text)


def _whole_seconds(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of seconds")
    return int(text)


def _epilog() -> str:
    lines = [f"  {code:>3}  {meaning}" for code, meaning in exit_codes.MEANINGS.items()]
    return "\n".join(["exit codes:", *lines])
