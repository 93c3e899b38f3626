"""A deployment package, unpacked: a folder that its function can read and nobody can write."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import zipfile
from pathlib import Path
from typing import Final

_ALL_READ: Final = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
_ALL_ENTER: Final = _ALL_READ | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_EXECUTABLE: Final = stat.S_IXUSR


class PackageChanged(Exception):
    """Something has written into a code folder, which Lambda would have refused; the message names it."""


class Package:
    """The code folder of one zip file. Functions that share the zip share the folder."""

    def __init__(self, code: Path, folder: Path) -> None:
        """Unpack `code` into `folder`, which must not exist. Raises BadZipFile, OSError."""
        self.folder = folder
        with zipfile.ZipFile(code) as opened:
            opened.extractall(folder)
            modes = {entry.filename: entry.external_attr >> 16 for entry in opened.infolist()}
        for path in folder.rglob("*"):
            if path.is_file():
                executable = modes.get(str(path.relative_to(folder)), 0) & _EXECUTABLE
                path.chmod(_ALL_ENTER if executable else _ALL_READ)
        for path in (*(path for path in folder.rglob("*") if path.is_dir()), folder):
            path.chmod(_ALL_ENTER)
        self._unpacked = self._state()

    def check(self) -> None:
        """Raise PackageChanged unless every file is as it was unpacked.

        A process of root writes in spite of the mode bits; this tells.
        """
        now = self._state()
        changed = sorted(
            name for name in now.keys() | self._unpacked.keys() if now.get(name) != self._unpacked.get(name)
        )
        if changed:
            raise PackageChanged(f"the code folder has changed: {', '.join(changed[:10])}")

    def remove(self) -> None:
        """Delete the folder."""
        for where, _, _ in os.walk(self.folder):
            os.chmod(where, stat.S_IRWXU)
        shutil.rmtree(self.folder)

    def _state(self) -> dict[str, tuple[int, int]]:
        """Size and time of change of each file and folder, by its path."""
        found = {}
        for path in self.folder.rglob("*"):
            status = path.stat()
            found[str(path.relative_to(self.folder))] = (status.st_size, status.st_mtime_ns)
        return found


def digest(code: Path) -> str:
    """What tells one package from another."""
    return hashlib.sha256(code.read_bytes()).hexdigest()[:24]
