"""Where lines of a log go: a descriptor that several processes may share."""

from __future__ import annotations

import errno
import os
import select
import stat


class Output:
    """A descriptor that whole lines are written to. Raises nothing: what cannot be written is lost.

    A pipe, which other processes may write to as well, takes so much in one piece that no line of
    another process gets between two halves of one of ours.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._most = _piece_of(descriptor)

    def write(self, lines: bytes) -> None:
        """Write lines, each with its end."""
        try:
            start = 0
            while start < len(lines):
                end = len(lines)
                if self._most and end - start > self._most:
                    end = lines.rfind(b"\n", start, start + self._most) + 1 or lines.find(b"\n", start) + 1
                while start < end:
                    start += os.write(self._descriptor, lines[start:end])
        except OSError:
            return


def _piece_of(descriptor: int) -> int:
    """What a write must not exceed to stay in one piece; 0 where that is no matter."""
    try:
        return select.PIPE_BUF if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else 0
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        return 0
