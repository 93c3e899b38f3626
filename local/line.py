"""The line between the supervisor and a child: one socket pair, a JSON report or a command a line.

The child reports upwards; the supervisor sends commands down. The end of the line tells the child
that the supervisor is gone. The other way about it tells nothing: a process that the child has
forked may hold the line open.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from bide import forks
from bide.sample import Sample, sample
from local.tether import ORPHANED

if TYPE_CHECKING:
    from bide.definition import Definition


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The child can do its work: the tick does, API processes and workers wait for `serve`."""

    name: str = ""
    """What the store knows a worker by."""


class Problems(msgspec.Struct, frozen=True, tag=True):
    """What of the user's code could not be loaded, each as `file:line: message`; empty when all was."""

    problems: tuple[str, ...]

    @classmethod
    def of(cls, found: Iterable[object]) -> Problems:
        return cls(tuple(_in_one_line(problem) for problem in found))


class Tasks(msgspec.Struct, frozen=True, tag=True):
    """What tasks can be submitted: how many there are, and one to try."""

    count: int
    sample: Sample | None

    @classmethod
    def of(cls, definitions: Mapping[str, Definition]) -> Tasks:
        return cls(len(definitions), sample(definitions))


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The child cannot start and ends; `problem` as `file:line: message` where there is a place."""

    problem: str

    @classmethod
    def of(cls, error: Exception) -> Failed:
        return cls(_in_one_line(describe(error)))


class Stopped(msgspec.Struct, frozen=True, tag=True):
    """A worker takes no more tasks, or an API process no more connections; it goes on with what it has."""


class Need(msgspec.Struct, frozen=True, tag=True):
    """There is work for as many workers, and too few of them are awake."""

    workers: int


class Alarm(msgspec.Struct, frozen=True, tag=True):
    """Something is due that many milliseconds from now; a worker must be awake then."""

    delay_ms: int


Report = Ready | Problems | Tasks | Failed | Stopped | Need | Alarm

SERVE: Final = "serve"
"""Command to an API process: accept connections; to a worker: work."""

DRAIN: Final = "drain"
"""Command to an API process: accept no more, answer what comes on open connections, then end."""

LOOK: Final = "look"
"""Command to the tick: run now, not only when it is time. A worker's name may follow, which has died."""

CANNOT_START: Final = 3
"""Exit code of a child that could not start and has reported why."""


REPORT_BYTES: Final = 1024 * 1024
"""More than any report has."""

_PROBLEM_CHARACTERS: Final = 500

_log = logging.getLogger(__name__)


class Line:
    """The child's end. Thread-safe."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._socket = socket.socket(fileno=descriptor)
        self._sending = threading.Lock()
        forks.keep(self._socket)
        forks.leave_signals()

    def report(self, report: Report) -> None:
        """Tell the supervisor; silently nothing when it is gone, since this process is ending then."""
        with self._sending, suppress(OSError):
            self._socket.sendall(msgspec.json.encode(report) + b"\n")

    def watch(self, on_command: Callable[[str], object] | None = None) -> None:
        """Call `on_command` in a thread for each command; end this process with the line."""

        def read() -> None:
            try:
                with self._socket.makefile("r", encoding="ascii") as commands:
                    for command in commands:
                        if on_command is not None:
                            _obey(on_command, command.strip())
            finally:
                os._exit(ORPHANED)

        threading.Thread(target=read, name="line", daemon=True).start()

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Report an exception of the body as Failed, and exit."""
        try:
            yield
        except Exception as error:
            self.report(Failed.of(error))
            sys.exit(CANNOT_START)


def _obey(on_command: Callable[[str], object], command: str) -> None:
    try:
        on_command(command)
    except Exception:  # the line goes on: without it this process would hear of nothing any more
        _log.exception("the command %r came to nothing", command)


def describe(error: Exception) -> str:
    """An error in one line, after the place where it arose, this project's or the user's code first."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: SyntaxError: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    installed = f"{os.sep}site-packages{os.sep}"
    own = [f for f in frames if installed not in f.filename and not f.filename.startswith("<")]
    own = [f for f in own if Path(f.filename).parent != Path(__file__).parent] or own
    message = f"{type(error).__name__}: {error}"
    return f"{own[-1].filename}:{own[-1].lineno}: {message}" if own else message


def _in_one_line(problem: object) -> str:
    return " ".join(str(problem).split())[:_PROBLEM_CHARACTERS]
