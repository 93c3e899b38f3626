"""Processes that must not outlive the one that started them, not even its kill -9.

Linux kills such a child itself when its parent dies, also a frozen one. Elsewhere
the roles notice the end of their line (see `local.line`), and the store has a Guard.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Final

_PR_SET_PDEATHSIG: Final = 1

ORPHANED: Final = 86
"""Exit code of a child that ended because its parent was gone."""


def die_with_parent() -> Callable[[], None] | None:
    """A `preexec_fn` that has Linux kill the child when this process dies; None on other systems.

    What counts is the thread that starts the child: start it from one that lasts,
    the main thread as a rule.
    """
    return _with_parent(signal.SIGKILL)


def thaw_with_parent() -> Callable[[], None] | None:
    """The same for a child that has something to do then: it goes on, should it be frozen."""
    return _with_parent(signal.SIGCONT)


def _with_parent(number: signal.Signals) -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(ORPHANED)

    return before_exec


class Guard:
    """A tiny shell that kills process `pid` when this process is gone, where Linux does not do it."""

    def __init__(self, pid: int) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", f"read _ || kill -9 {pid}", "bide-store-guard"],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Call it off, before `pid` can be reused."""
        self._shell.communicate(b"\n")
