"""A proxy between a worker and its store that lets one store call go wrong."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from enum import Enum
from typing import Any

from store_proxy import StoreProxy


class Fault(Enum):
    """What happens to the chosen call."""

    KILLED_BEFORE = "killed before"
    """The worker dies; the store never sees the call."""
    KILLED_AFTER = "killed after"
    """The store has done it; the worker dies before the reply."""
    REPLY_LOST = "reply lost"
    """The store has done it; the connection breaks, and the worker lives on."""


class FaultProxy(StoreProxy):
    """Passes calls on; call number `at` (from 1) meets `fault`."""

    def __init__(self, store_url: str, at: int, fault: Fault, kill: Callable[[], None]) -> None:
        self._at, self._fault, self._kill = at, fault, kill
        self._counting = threading.Condition()
        self._under_way = 0
        """Calls that the store has, and has not answered."""
        self._has_killed = False
        self.calls = 0
        self.struck: str | None = None
        """The command that met the fault."""
        super().__init__(store_url)

    def pass_on(self, request: Any, client: socket.socket, ask: Callable[[], bytes | None]) -> bool:
        blocks = request[0].upper() == b"BLPOP"
        with self._counting:
            if self._has_killed:
                return False
            self.calls += 1
            strikes = self.calls == self._at
            if strikes:
                self.struck = b" ".join(request[:2]).decode(errors="replace")
            if strikes and self._fault is Fault.KILLED_BEFORE:
                self._kill_in_peace(under_way=0)
                return False
            self._under_way += not blocks
        try:
            return self._ask(client, ask, strikes)
        finally:
            with self._counting:
                self._under_way -= not blocks
                self._counting.notify_all()

    def _kill_in_peace(self, under_way: int) -> None:
        """Kill when no more than so many calls are under way; what comes after goes nowhere.

        The worker has several connections: what another one had sent before would change the store
        after the test has looked what the worker left behind.
        """
        self._has_killed = True
        self._counting.wait_for(lambda: self._under_way <= under_way, 10)
        self._kill()

    def _ask(self, client: socket.socket, ask: Callable[[], bytes | None], strikes: bool) -> bool:
        reply = ask()
        if reply is None:
            return False
        if strikes:
            if self._fault is Fault.KILLED_AFTER:
                with self._counting:
                    self._kill_in_peace(under_way=1)
            return False
        client.sendall(reply)
        return True
