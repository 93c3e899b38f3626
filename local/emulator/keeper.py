"""A small process that kills process groups when the process that started them is gone, however it went.

For the environments of the emulator, having the system do it (`local.tether`) would take a `preexec_fn`,
which makes each start fork the whole emulator: 4 ms longer, in which nothing else is answered. And the
system kills the child alone: what that has forked or started is left behind.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Final

from local import tether

_KEEP: Final = """\
import os, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, 9)
    except ProcessLookupError:
        pass
"""

_log = logging.getLogger(__name__)


class Keeper:
    """Knows the process groups that must not outlive this process; frozen ones are killed like others.

    A process that is started, and not yet watched when this one is killed, ends by itself: nobody
    answers its runtime client.
    """

    def __init__(self) -> None:
        self._groups = set[int]()
        self._process = _start()

    def watch(self, group: int) -> None:
        """Kill this process group when this process is gone."""
        self._groups.add(group)
        self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        """The group is about to end; say so before its number can be reused."""
        self._groups.discard(group)
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Kill what is still watched, and wait until that is done."""
        self._process.communicate()

    def _tell(self, text: str) -> None:
        try:
            _write(self._process, text)
        except BrokenPipeError:
            _log.warning("process %d, which keeps others from being left behind, has ended; starting another",
                         self._process.pid)  # fmt: skip
            self._process.communicate()
            self._process = _start()
            _write(self._process, "".join(f"+{group}\n" for group in self._groups))


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _KEEP],
        stdin=subprocess.PIPE,
        start_new_session=True,  # a terminal's Ctrl-C is not for it
        preexec_fn=tether.thaw_with_parent(),
    )


def _write(process: subprocess.Popen[bytes], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text.encode("ascii"))
    process.stdin.flush()
