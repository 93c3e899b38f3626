"""`python -m local`: what the Makefile runs."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import Final

_INTERRUPTED: Final = 130


def main() -> int:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else somebody wants it to be ignored
        signal.signal(signal.SIGINT, _interrupted)
    # Not before: it takes long enough to be interrupted.
    from local.up import MODES, QUICK, up

    def mode(text: str) -> str:
        if text not in MODES:
            raise argparse.ArgumentTypeError(f"MODE is {' or '.join(MODES)}, not {text!r}")
        return text

    parser = argparse.ArgumentParser(prog="python -m local")
    commands = parser.add_subparsers(required=True, dest="command")
    up_parser = commands.add_parser("up", help="run the stack until Ctrl-C")
    up_parser.add_argument("--port", type=_port, help="default: 8000 or the next free one")
    up_parser.add_argument("--mode", type=mode, default=QUICK, help="quick (default) or lambda, as deployed")
    up_parser.add_argument("--with-parent", action="store_true", help="stop when the parent process is gone")
    commands.add_parser("clean", help="delete the data of stacks that do not run")
    arguments = parser.parse_args()
    if arguments.command == "up":
        return up(arguments.port, os.environ, mode=arguments.mode, with_parent=arguments.with_parent)
    return _clean()


def _interrupted(*_: object) -> None:
    """Ctrl-C before a stack is there, which has an ear of its own: nothing is to be stopped yet."""
    os.write(sys.stderr.fileno(), b"\ninterrupted\n")
    os._exit(_INTERRUPTED)


def _clean() -> int:
    from local.data import forget

    deleted, in_use = forget()
    for directory in deleted:
        print(f"deleted {directory}")
    for reason in in_use:
        print(f"kept: {reason}; stop it first", file=sys.stderr)
    return 1 if in_use else 0


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port number from 1 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
