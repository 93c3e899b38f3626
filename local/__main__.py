"""`python -m local`: what the Makefile runs."""

from __future__ import annotations

import argparse
import os
import sys

from local.data import forget
from local.up import MODES, QUICK, up


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local")
    commands = parser.add_subparsers(required=True, dest="command")
    up_parser = commands.add_parser("up", help="run the stack until Ctrl-C")
    up_parser.add_argument("--port", type=_port, help="default: 8000 or the next free one")
    up_parser.add_argument("--mode", type=_mode, default=QUICK, help="quick (default) or lambda, as deployed")
    up_parser.add_argument("--with-parent", action="store_true", help="stop when the parent process is gone")
    commands.add_parser("clean", help="delete the data of stacks that do not run")
    arguments = parser.parse_args()
    if arguments.command == "up":
        return up(arguments.port, os.environ, mode=arguments.mode, with_parent=arguments.with_parent)
    return _clean()


def _clean() -> int:
    deleted, in_use = forget()
    for directory in deleted:
        print(f"deleted {directory}")
    for reason in in_use:
        print(f"kept: {reason}; stop it first", file=sys.stderr)
    return 1 if in_use else 0


def _mode(text: str) -> str:
    if text not in MODES:
        raise argparse.ArgumentTypeError(f"MODE is {' or '.join(MODES)}, not {text!r}")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port number from 1 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
