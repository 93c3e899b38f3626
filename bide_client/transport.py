"""Requests over kept connections, made again where that is safe."""

from __future__ import annotations

import json
import math
import os
import random
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Mapping
from typing import Any, Final

import requests

from bide_client import answer, retry
from bide_client.address import Address, Bearer, KeyExposed
from bide_client.answer import Answer
from bide_client.errors import BideError, ConnectionFailed, ProblemError, UsageError
from bide_client.version import __version__

LONGEST_KEY: Final = 255
"""Characters of an Idempotency-Key."""
SHORTEST_READ: Final = 1.0
"""Seconds that an answer may take even past the deadline, so that the last poll has a chance."""


class Transport:
    """Calls one server. Threads may share it: each has a session, and so connections, of its own."""

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        connect_timeout: float,
        read_timeout: float,
        patience: float,
        retry_closed: bool,
    ) -> None:
        """All times in seconds. Raises UsageError for a URL or key that cannot be used; warns: KeyExposed."""
        self._address = Address.of(url)
        self._auth = Bearer(key)
        if key and self._address.exposes:
            warnings.warn(
                f"The API key goes to {self._address.url} without TLS: whoever is on the way can read it. "
                "Use https://, or a tunnel to this machine.",
                KeyExposed,
                stacklevel=3,  # where the Client is made
            )
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._patience = patience
        self._retry_closed = retry_closed
        self._reached = False
        self._mine = _Mine()
        self._sessions: weakref.WeakSet[requests.Session] = weakref.WeakSet()
        self._sessions_lock = threading.Lock()

    @property
    def url(self) -> str:
        """The server's URL, without a slash at its end."""
        return self._address.url

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        hold: int = 0,
        repeatable: bool = True,
        deadline: float = math.inf,
    ) -> Answer:
        """Return the answer to a request, or raise ConnectionFailed, UnexpectedAnswer or ProblemError.

        `body` is sent as JSON, None as nothing. `hold` seconds ask the server to
        answer only when the task is done (`Prefer: wait`). A `repeatable` call is
        made again after transient failures until patience or the `deadline`
        (time.monotonic()) runs out.
        """
        sent = dict(headers or {})
        data = None
        if body is not None:
            data = encoded(body)
            sent["Content-Type"] = "application/json"
        if hold:
            sent["Prefer"] = f"wait={hold}"
        give_up = min(time.monotonic() + self._patience, deadline)
        failures = 0
        while True:
            allowed = max(SHORTEST_READ, deadline - time.monotonic())
            try:
                return self._once(method, path, data, sent, min(self._read_timeout + hold, allowed))
            except (ConnectionFailed, ProblemError) as error:
                failures += 1
                error.attempts = failures
                pause = self._pause(error, failures, give_up) if repeatable else None
                if pause is None:
                    raise
            time.sleep(pause)

    def disconnect(self) -> None:
        """Close all kept connections, of every thread; the next call opens new ones."""
        with self._sessions_lock:
            sessions = list(self._sessions)
        for session in sessions:
            session.close()

    def _once(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str], read_timeout: float
    ) -> Answer:
        handled = sys.exception()
        began = time.monotonic()
        try:
            response = self._session().request(
                method,
                self.url + path,
                data=data,
                headers=headers,
                timeout=(self._connect_timeout, read_timeout),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise answer.no_answer(error, self._address, handled) from error
        self._reached = True
        return answer.read(response, self._address, time.monotonic() - began)

    def _pause(self, error: BideError, failures: int, give_up: float) -> float | None:
        if not retry.is_transient(error, reached=self._reached, retry_closed=self._retry_closed):
            return None
        asked = error.retry_after if isinstance(error, ProblemError) else None
        return retry.delay(failures, asked, give_up - time.monotonic(), random.random())

    def _session(self) -> requests.Session:
        """This thread's session. A forked child opens connections of its own."""
        if self._mine.session is None or self._mine.pid != os.getpid():
            session = requests.Session()
            session.headers["User-Agent"] = f"bide/{__version__} requests/{requests.__version__}"
            session.headers["Accept"] = "application/json, application/problem+json"
            session.auth = self._auth
            # A proxy named in the environment cannot reach this machine's own loopback.
            session.trust_env = not self._address.loopback
            self._mine.session, self._mine.pid = session, os.getpid()
            with self._sessions_lock:
                self._sessions.add(session)
        return self._mine.session


class _Mine(threading.local):
    """What belongs to one thread."""

    session: requests.Session | None = None
    pid: int = 0


def checked_key(key: str) -> str:
    """The Idempotency-Key; UsageError for one that the server would refuse."""
    if not (1 <= len(key) <= LONGEST_KEY and all("!" <= character <= "~" for character in key)):
        raise UsageError(f"idempotency_key must be 1 to {LONGEST_KEY} visible ASCII characters")
    return key


def encoded(body: Any) -> bytes:
    """The body as compact UTF-8 JSON; UsageError for what JSON cannot carry."""
    try:
        return json.dumps(body, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise UsageError("JSON cannot carry this value: half of a surrogate pair is no text") from error
    except RecursionError as error:
        raise UsageError("JSON cannot carry this value: it is nested too deeply") from error
    except (TypeError, ValueError) as error:
        raise UsageError(f"JSON cannot carry this value: {error}") from error
