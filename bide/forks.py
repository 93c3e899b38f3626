"""What a process keeps to itself when a task forks it: its connections, its listening sockets, its signals.

A process that a task starts inherits none of them anyway. One that is forked would hold sockets open
for as long as it lives, also when their owner has ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import weakref
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio import StreamWriter

_KEPT: Final[weakref.WeakSet[socket.socket | StreamWriter]] = weakref.WeakSet()

_HANDLED: Final = (signal.SIGTERM, signal.SIGINT)

_forking = threading.local()
"""`mask`: the signals that were blocked in this thread before it forked."""


def keep(mine: socket.socket | StreamWriter) -> None:
    """Have every fork from now on let go of its copy, as long as this is open here."""
    _KEPT.add(mine)


@cache  # registered twice, the second look at the mask would find what the first has blocked
def leave_signals() -> None:
    """Have every fork end by SIGTERM, and tell this process's event loop of no signal. Once is for good.

    The handler of an event loop only notes the signal and wakes the loop, by a socket that a fork shares:
    whoever ended the fork, such as a pool, would stop this process instead.
    """
    os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_forget_handlers)


def _let_go() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for mine in tuple(_KEPT):
        its_socket = mine if isinstance(mine, socket.socket) else mine.get_extra_info("socket")
        with contextlib.suppress(OSError):  # it is closed
            # Only closed, its number would be somebody else's when the copy of its owner closes it.
            os.dup2(nothing, its_socket.fileno(), inheritable=False)
    os.close(nothing)


def _block() -> None:
    """A signal may come to the fork before it can forget the handlers."""
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _forget_handlers() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _unblock()


os.register_at_fork(after_in_child=_let_go)
