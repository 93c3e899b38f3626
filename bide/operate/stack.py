"""The stacks of a folder: servers on this machine, as `make up` starts them, and what each told its parts.

While one runs, `.bide/PORT/variables.json` has its variables, the store's URL with its password among
them, and the folders in which it finds modules. Only its owner may read the file, and it is locked, so that
one which a killed stack has left behind is known as such.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from bide.settings import Settings

HOME: Final = ".bide"
"""The folder, in that of the code, which has a folder for each port."""
_FILE: Final = "variables.json"
_HOSTS: Final = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Told:
    """What an operator's command goes by: the environment, over what the stack at `url` was told.

    port: the stack's; None where nothing is a stack's. others: ports of the folder's further stacks.
    path: folders in which the stack finds modules.
    """

    environ: Mapping[str, str]
    url: str = ""
    port: int | None = None
    others: tuple[int, ...] = ()
    path: tuple[str, ...] = ()

    def extend_path(self) -> None:
        """Have imports of this process find what the stack's find."""
        sys.path.extend(folder for folder in self.path if folder not in sys.path)


def add_url(parser: argparse.ArgumentParser) -> None:
    """Which of several stacks is meant."""
    parser.add_argument(
        "--url",
        default=argparse.SUPPRESS,
        help="the server, where BIDE_REDIS_URL is unset and `make up` runs it (default: as for any command)",
    )


@contextlib.contextmanager
def published(directory: Path, variables: Mapping[str, str]) -> Iterator[None]:
    """Tell operators' commands the settings among these variables, as long as this is entered.

    directory: the stack's own, `.bide/PORT`.
    """
    known = {name: variables[name] for name in Settings.names() if name in variables}
    file = directory / _FILE
    draft = file.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    with draft.open("w", encoding="utf-8") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        json.dump({"variables": known, "path": _found_by_imports()}, opened)
        opened.flush()
        draft.replace(file)
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def told(environ: Mapping[str, str], url: str, folder: Path) -> Told:
    """What is known of the server at this URL: where the environment names no store, what its stack was told.

    folder: that of the server's code.
    """
    if Settings.name_a_store(environ):
        return Told(environ, url)
    stacks = _running(folder / HOME)
    document = stacks.pop(_port(url), None)
    if document is None:
        return Told(environ, url, others=tuple(sorted(stacks)))
    known = {**document["variables"], **environ}
    return Told(known, url, _port(url), tuple(sorted(stacks)), tuple(document["path"]))


def _found_by_imports() -> list[str]:
    """The folders of `sys.path`, but for those of Python itself, which any other has too."""
    own = (sys.prefix, sys.base_prefix)
    return [path for path in map(os.path.abspath, sys.path) if not path.startswith(own)]


def _running(home: Path) -> dict[int, dict[str, Any]]:
    """What each stack that runs has published, by its port."""
    found = {}
    for file in home.glob(f"*/{_FILE}"):
        with contextlib.suppress(OSError, ValueError), file.open(encoding="utf-8") as opened:
            try:
                fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found[int(file.parent.name)] = json.load(opened)
    return found


def _port(url: str) -> int:
    """Where a server on this machine listens; 0 for a URL that leads elsewhere."""
    try:
        parts = urlsplit(url)
        return (parts.port or 0) if parts.hostname in _HOSTS else 0
    except ValueError:
        return 0
