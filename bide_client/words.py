"""What the parser of `bide` is made of: commands, groups of them, and the values of options."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import EntryPoint
from typing import Any, Final, NoReturn

from bide_client import exit_codes, operators
from bide_client.client import DEFAULT_URL

NUMBER: Final = re.compile(r"\d+(\.\d*)?|\.\d+")


class Parser(argparse.ArgumentParser):
    """A parser whose complaints fit on two lines."""

    entry: EntryPoint | None = None
    """Of an operator's command, which is loaded when it is chosen."""

    def error(self, message: str) -> NoReturn:
        self.exit(exit_codes.USAGE, f"bide: {message}\nTry: {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Of the commands only those that are perhaps meant are named: there are many."""
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            from difflib import get_close_matches

            meant = get_close_matches(value, action.choices, n=1)
            raise argparse.ArgumentError(
                None, f"there is no command {value!r}" + (f"; did you mean {meant[0]!r}?" if meant else "")
            )
        super()._check_value(action, value)

    def load(self) -> None:
        """Give an operator's command its options. Raises operators.NotInstalled."""
        if self.entry is not None:
            command = operators.load(self.entry)
            self.entry = None
            add_json(self, keep=True)
            self.set_defaults(operate=command.run)
            command.add_options(self)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        try:
            self.load()
        except operators.NotInstalled as error:
            self.exit(exit_codes.USAGE, f"bide: {error}\n")
        return super().parse_known_args(args, namespace)


Commands = argparse._SubParsersAction
"""Where commands are added."""


def command(
    found: Commands[Parser],
    name: str,
    run: Callable[..., int],
    help: str,
    examples: str | None = None,
) -> Parser:
    """Add a command; `run(client, options)` returns its exit code. Examples lead its help."""
    parser = found.add_parser(
        name,
        help=help,
        description=examples or f"{help[0].upper()}{help[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_globals(parser, keep=True)
    parser.set_defaults(run=run)
    return parser


def group(found: Commands[Parser], name: str, help: str, examples: str | None = None) -> Commands[Parser]:
    """Add a command that consists of commands."""
    parser = found.add_parser(
        name,
        help=help,
        description=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_globals(parser, keep=True)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="verb")


def add_globals(parser: argparse.ArgumentParser, *, keep: bool = False) -> None:
    """Options that may stand before or after the command; after it, `keep` what was said before."""
    text = argparse.SUPPRESS if keep else None
    parser.add_argument("--url", default=text, help=f"the server (default: BIDE_URL, else {DEFAULT_URL})")
    parser.add_argument("--key", default=text, help="the API key (default: BIDE_KEY, which `ps` hides)")
    add_json(parser, keep=keep)


def add_json(parser: argparse.ArgumentParser, *, keep: bool) -> None:
    """The option `--json`."""
    flag = argparse.SUPPRESS if keep else False
    parser.add_argument(
        "--json", action="store_true", default=flag, help="print JSON, one document on one line"
    )


def suggest(action: argparse.Action, values: Sequence[str]) -> None:
    """Let shells complete the action's value by these, though others may be given."""
    action.suggested = tuple(values)  # type: ignore[attr-defined]


def suggestions(action: argparse.Action) -> tuple[str, ...]:
    """What shells complete the action's value by."""
    found: Iterable[object] = getattr(action, "suggested", None) or action.choices or ()
    return tuple(str(value) for value in found)


def add_id(parser: argparse.ArgumentParser) -> None:
    """The id of the task that a command is about."""
    parser.add_argument("id", metavar="ID", help="the task's id")


def add_every(parser: argparse.ArgumentParser, default: float) -> None:
    """How often to look again."""
    parser.add_argument(
        "--every",
        type=pause,
        default=default,
        metavar="SECONDS",
        help=f"look again so often, from 0.1 (default: {default:g})",
    )


def seconds(text: str) -> float:
    """A number of seconds; "inf" is for ever."""
    if text == "inf":
        return math.inf
    if not NUMBER.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return float(text)


def pause(text: str) -> float:
    """Seconds from 0.1 to a day."""
    if not NUMBER.fullmatch(text) or not 0.1 <= float(text) <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0.1 to 86400")
    return float(text)


def whole_seconds(text: str) -> int:
    """A whole number of seconds."""
    if not re.fullmatch(r"\d{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of seconds")
    return int(text)


def whole(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers from `low` to `high`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} to {high}")
        return int(text)

    return read


def rate(text: str) -> float:
    """Tasks per second, more than 0."""
    if not NUMBER.fullmatch(text) or not float(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of tasks per second")
    return float(text)
