"""The command line of `bide`: its words, options and help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from bide_client import exit_codes, operators
from bide_client.commands import (
    completion,
    dead,
    operation,
    queue,
    server,
    stats,
    submission,
    task,
    tasks,
    top,
    watch,
    worker,
)
from bide_client.version import __version__
from bide_client.words import Commands, Parser, add_globals

EXAMPLES: Final = """\
examples:
  bide submit echo value=1 --wait             submit a task, wait, print its result
  bide submit sleep seconds=5                 submit a task, print its id
  bide submit sleep seconds=2 --delay 60 --queue slow --tag nightly
  bide list --state running                   which tasks are there?
  bide show ID                                how is it? what came of it?
  bide watch ID                               see it until it is done
  bide tail ID                                see what it logs
  bide event ID approved '{"by": "Ada"}'      send it an event
  bide cancel ID
  bide retry ID                               run it again, when it has failed
  bide dead list                              which tasks failed for good, and why?
  bide dead redrive QUEUE --rate 10           run them again
  bide queue pause QUEUE
  bide top                                    queues, workers and rates, live
  bide stats                                  what do tasks wait, what does it cost?
  bide server drain --reason "upgrade"        close, and wait until no task is left
  bide server open
  bide check                                  before a deploy: do the tasks in flight fit?
  bide doctor                                 is the server well?
  bide cost --tasks 10000 --wait 8h           what would that cost, here and elsewhere?
  bide scaling simulate TRACE.csv             what would the autoscaler make of it?
"""

_NOUNS: Final = (
    submission, tasks, task, watch, top, queue, dead, operation, worker, stats, server,
)  # fmt: skip
"""In the order in which help lists their commands."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line; `run` holds its command, or `operate` an operator's.

    Ends the process on --help, --version and mistakes.
    """
    parser = build()
    of_operators = operators.found()
    first = next((word for word in argv if word == "submit" or word in of_operators), "submit")
    words = submission.wait_bound(argv) if first == "submit" else argv
    options: argparse.Namespace
    options, unread = parser.parse_known_args(words)
    if options.command == "submit":
        # argparse does not read key=value words that follow an option.
        before, after = submission.parted(unread)
        options.arguments = [*options.arguments, *(word for word in before if word[:1] != "-"), *after]
        unread = [word for word in before if word.startswith("-")]
    if unread:
        parser.error(f"unrecognized arguments: {' '.join(unread)}")
    return options


def build() -> Parser:
    """The parser of the whole command line."""
    parser = Parser(
        prog="bide",
        description=EXAMPLES,
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_globals(parser)
    parser.add_argument(
        "--version", action="version", version=f"bide {__version__}", help="print the version and exit"
    )
    found = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="command")
    for noun in _NOUNS:
        noun.add(found)
    completion.add(found, parser)
    _add_operators(found)
    return parser


def _add_operators(found: Commands[Parser]) -> None:
    for name, entry in operators.found().items():
        if name not in found.choices:
            parser = found.add_parser(name, help=operators.HELP.get(name), allow_abbrev=False)
            parser.entry = entry


def _epilog() -> str:
    lines = [f"  {code:>3}  {meaning}" for code, meaning in exit_codes.MEANINGS.items()]
    return "\n".join(["exit codes:", *lines])
