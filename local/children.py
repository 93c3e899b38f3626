"""One child process of the supervisor, with its end of the line.

What counts is the process, not the line: a process that a task has forked may hold the line open for as
long as it likes. It is in the group of the child, which ends with the child.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import msgspec

from local import tether
from local.line import REPORT_BYTES, Failed, Ready, Report, Stopped

ROOT: Final = Path(__file__).resolve().parent.parent
"""The clone: where app.py is, and where every child runs."""


def shown(text: object) -> str:
    """A path, or a text with paths, as a person wants to see it: without the clone's own."""
    return str(text).replace(f"{ROOT}/", "")


_decode = msgspec.json.Decoder(Report).decode

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Role:
    """What a child does: `python -m local.<name> <arguments>`."""

    name: str
    arguments: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()
    """What it inherits besides the line."""


class Child:
    """A running process. `ready` and `stopped` are set by its reports, and when it ends."""

    def __init__(
        self,
        role: Role,
        process: asyncio.subprocess.Process,
        line: socket.socket,
        reports: asyncio.StreamReader,
        commands: asyncio.StreamWriter,
    ) -> None:
        self.role = role
        self.process = process
        self.ready = asyncio.Event()
        self.stopped = asyncio.Event()
        self.name = ""
        """What the store knows a worker by, once it is ready."""
        self.failed = False
        """It has reported that it cannot start."""
        self.leaving = False
        """The supervisor has asked it to end."""
        self.started_at = time.monotonic()
        self._line = line
        self._reports = reports
        self._commands = commands

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def serves(self) -> bool:
        """It has started, and nobody has asked it to end."""
        return self.ready.is_set() and not self.leaving and self.process.returncode is None

    def command(self, word: str) -> None:
        """Send a command down the line; a child that is gone hears nothing."""
        if not self._commands.is_closing():
            self._commands.write(f"{word}\n".encode("ascii"))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.process.returncode is None:
            self.process.send_signal(number)

    async def follow(self, on_report: Callable[[Child, Report], None]) -> int:
        """Hand on every report until the process has ended; returns its exit code, negative for a signal.

        What the process has forked or started has ended then too, unless it has left the group.
        """
        reading = asyncio.create_task(self._hand_on(on_report))
        try:
            code = await self.process.wait()
            with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left in the group
                os.killpg(self.pid, signal.SIGKILL)
            self._take_the_rest()
            await reading
        finally:
            reading.cancel()
        self._commands.close()
        self.ready.set()
        self.stopped.set()
        return code

    async def _hand_on(self, on_report: Callable[[Child, Report], None]) -> None:
        while True:
            try:
                line = await self._reports.readline()
                if not line:
                    return
                report = _decode(line)
                if isinstance(report, Ready):
                    self.name = report.name
                    self.ready.set()
                elif isinstance(report, Stopped):
                    self.stopped.set()
                elif isinstance(report, Failed):
                    self.failed = True
                on_report(self, report)
            except OSError:
                return  # the line of a killed process may be reset
            except Exception:  # the next report may be of more use
                _log.exception("a report of %s %d came to nothing", self.role.name, self.pid)

    def _take_the_rest(self) -> None:
        """End the line here, after what the process has reported: others may hold its other end."""
        cast(asyncio.Transport, self._commands.transport).pause_reading()
        with contextlib.suppress(OSError):
            while data := self._line.recv(REPORT_BYTES, socket.MSG_DONTWAIT):
                self._reports.feed_data(data)
        self._reports.feed_eof()


async def spawn(role: Role, environ: Mapping[str, str]) -> Child:
    """Start a child that dies with this process; call it from the main thread."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *_command(role, theirs.fileno()),
            cwd=ROOT,
            env=dict(environ),
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(*role.descriptors, theirs.fileno()),
            start_new_session=True,  # a terminal's Ctrl-C is for the supervisor alone
            preexec_fn=tether.die_with_parent(),
        )
    return Child(role, process, ours, *await asyncio.open_connection(sock=ours, limit=REPORT_BYTES))


def _command(role: Role, line: int) -> Sequence[str]:
    return (sys.executable, "-m", f"local.{role.name}", "--line", str(line), *role.arguments)
