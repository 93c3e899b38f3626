"""The folder of a stack's data, `.bide/<port>/`: claimed by one stack at a time, forgotten on demand."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import stat
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from bide.operate import stack
from local.children import ROOT, shown

HOME: Final = ROOT / stack.HOME

_LOCK: Final = "lock"

_LOOK_SECONDS: Final = 1.0


class DataInUse(Exception):
    """Another stack runs on this folder; the message names it."""


@contextmanager
def claim(directory: Path) -> Iterator[None]:
    """Hold the folder, made if missing; the kernel lets go when this process dies. Raises DataInUse."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (directory / _LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise DataInUse(f"{shown(directory)} is in use by process {lock.read().strip() or '?'}") from None
        lock.seek(0)
        lock.truncate()
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


@contextmanager
def turn() -> Iterator[None]:
    """Look at the folders of stacks, and claim one, while no other stack does."""
    HOME.mkdir(parents=True, exist_ok=True, mode=0o700)
    home = os.open(HOME, os.O_RDONLY)
    try:
        fcntl.flock(home, fcntl.LOCK_EX)
        yield
    finally:
        os.close(home)


def running() -> dict[int, str]:
    """The stacks that run here, or start: each one's process, by its port."""
    found = {}
    for file in sorted(HOME.glob(f"*/{_LOCK}")):
        with suppress(OSError), file.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if file.parent.name.isdecimal():
                    found[int(file.parent.name)] = lock.read().strip()
    return found


def deleted(directory: Path) -> Coroutine[Any, Any, None]:
    """Wait until the folder, or one in it, is no longer where it was when this was called."""
    places = [directory, *(path for path in directory.iterdir() if path.is_dir())]
    before = [path.stat().st_ino for path in places]

    async def wait() -> None:
        with suppress(FileNotFoundError):
            while [path.stat().st_ino for path in places] == before:
                await asyncio.sleep(_LOOK_SECONDS)

    return wait()


def delete(directory: Path) -> None:
    """Delete a folder, and what is in it although nobody may write there, or nothing."""
    if directory.exists():
        for where, _, _ in os.walk(directory):
            os.chmod(where, stat.S_IRWXU)
        shutil.rmtree(directory)


def forget() -> tuple[list[str], list[str]]:
    """Delete the data of every stack that does not run; returns what was deleted and what is in use."""
    deleted, in_use = [], []
    for directory in sorted(HOME.iterdir()) if HOME.is_dir() else []:
        try:
            with claim(directory):
                delete(directory)
            deleted.append(shown(directory))
        except DataInUse as reason:
            in_use.append(str(reason))
    if not in_use and HOME.is_dir():
        shutil.rmtree(HOME)
    return deleted, in_use
