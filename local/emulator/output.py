"""What a function prints, and what Lambda prints about it: one capped file a function."""

from __future__ import annotations

from pathlib import Path

from bide.printable import printable


class Output:
    """A log file that keeps its newest part: at `cap_bytes` it moves to `<name>.1` and starts anew."""

    def __init__(self, path: Path, cap_bytes: int) -> None:
        self.path = path
        self._older = path.with_name(f"{path.name}.1")
        self._cap_bytes = cap_bytes
        self._file = path.open("ab", buffering=0)
        self._size = self._file.tell()

    def write(self, data: bytes) -> None:
        """Append what a process has written, as it came."""
        self._file.write(data)
        self._size += len(data)
        if self._size >= self._cap_bytes:
            self._file.close()
            self.path.replace(self._older)
            self._file = self.path.open("ab", buffering=0)
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
