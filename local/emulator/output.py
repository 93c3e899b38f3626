"""What a function prints, and what Lambda prints about it: one capped file a function."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from bide.printable import printable

_log = logging.getLogger(__name__)


class Output:
    """A log file that keeps its newest part: at `cap_bytes` it moves to `<name>.1` and starts anew."""

    def __init__(self, path: Path, cap_bytes: int) -> None:
        self.path = path
        self._older = path.with_name(f"{path.name}.1")
        self._cap_bytes = cap_bytes
        self._file = path.open("ab", buffering=0)
        self._size = self._file.tell()
        self._lost_bytes = 0

    def write(self, data: bytes) -> None:
        """Append what a process has written, as it came. What cannot be written is lost, which is logged."""
        if self._file.closed:
            return  # the function is gone; an invocation that has ended with it has nothing more to say
        try:
            self._write(data)
        except OSError as error:  # as of a full disk, which is no reason to fail an invocation
            if not self._lost_bytes:
                _log.warning("%s: what functions print is lost: %s", self.path, error)
            self._lost_bytes += len(data)
            return
        if self._lost_bytes:
            _log.warning("%s is written again; %d bytes are lost", self.path, self._lost_bytes)
            self._lost_bytes = 0

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._size += len(data)
        if self._size >= self._cap_bytes:
            with contextlib.suppress(FileNotFoundError):  # the last try got so far
                self.path.replace(self._older)
            full, self._file = self._file, self.path.open("ab", buffering=0)
            full.close()
            self._size = 0

    def line(self, text: str) -> None:
        """Append a line of Lambda's own, such as REPORT."""
        self.write(f"{printable(text)}\n".encode())

    def text(self) -> str:
        """Everything that is kept, oldest first."""
        older = self._older.read_bytes() if self._older.exists() else b""
        return (older + self.path.read_bytes()).decode(errors="replace")

    def close(self) -> None:
        self._file.close()
