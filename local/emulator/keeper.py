"""A small process that kills the environments when the emulator is gone, however it went.

Having the system do it (`local.tether`) takes a `preexec_fn`, which makes each start fork the whole
emulator: 4 ms longer, in which nothing else is answered.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Final

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


class Keeper:
    """Knows the process groups that must not outlive this process; frozen ones are killed like others.

    A process that is started, and not yet watched when this one is killed, ends by itself: nobody
    answers its runtime client.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _KEEP],
            stdin=subprocess.PIPE,
            start_new_session=True,  # a terminal's Ctrl-C is not for it
        )

    def watch(self, group: int) -> None:
        """Kill this process group when this process is gone."""
        self._tell("+", group)

    def release(self, group: int) -> None:
        """The group is about to end; say so before its number can be reused."""
        self._tell("-", group)

    def close(self) -> None:
        """Kill what is still watched, and wait until that is done."""
        self._process.communicate()

    def _tell(self, sign: str, group: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{sign}{group}\n".encode("ascii"))
        self._process.stdin.flush()
