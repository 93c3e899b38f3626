"""One Lambda execution environment: a process of the real runtime client, and a Runtime API to feed it."""

from __future__ import annotations

import importlib.util
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import msgspec

from bench.errors import BenchFailed

SUPPLIED: Final = (
    "awslambdaric", "runtime_client", "snapshot_restore_py", "simplejson",
    "boto3", "botocore", "jmespath", "s3transfer", "dateutil", "six", "urllib3",
)  # fmt: skip
"""What Lambda itself puts on the path: the runtime client, boto3, and what both stand on."""

_TIMEOUT_S: Final = 60.0
_MEMORY_MB: Final = "512"
_NEXT: Final = "/2018-06-01/runtime/invocation/next"


class Answer(NamedTuple):
    """What the handler returned, and the time.monotonic() at which it had arrived here."""

    payload: Any
    arrived: float


def supply(folder: Path) -> Path:
    """Links in `folder` to what Lambda supplies, from this Python's own packages."""
    folder.mkdir()
    for name in SUPPLIED:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise BenchFailed(f"{name} is not installed")
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (folder / source.name).symlink_to(source)
    return folder


class Environment:
    """Starts with `start`, answers one event at a time, and ends with the `with` block.

    Its path is the package, what Lambda supplies, and the standard library: nothing else.
    """

    def __init__(
        self,
        package: Path,
        supplied: Path,
        handler: str,
        variables: Mapping[str, str],
        *,
        options: tuple[str, ...] = (),
    ) -> None:
        """options: of the interpreter, such as `-X importtime`."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_TIMEOUT_S)
        self._connection: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - `end` closes it
        port = self._listener.getsockname()[1]
        # -S: the packages of this Python's own are not on the path; -B: the code folder is read-only.
        self._command = [_interpreter(), "-S", "-B", *options, "-m", "awslambdaric", handler]
        self._environ = {
            "PATH": os.environ["PATH"],
            "LANG": "en_US.UTF-8",
            "PYTHONPATH": os.pathsep.join((str(package), str(supplied))),
            "LAMBDA_TASK_ROOT": str(package),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": "cold",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": _MEMORY_MB,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "_HANDLER": handler,
            **variables,
        }
        self._folder = package
        self.printed = b""
        """What it wrote to its standard output and error, once it has ended."""

    def start(self) -> float:
        """Start the process; returns the time.monotonic() of just before."""
        began = time.monotonic()
        # Not tied to this process: it ends by itself when the Runtime API has gone.
        self._process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        return began

    def answer(self, event: Any) -> Answer:
        """Give it an event as soon as it asks for one, and wait for what the handler returns.

        Raises BenchFailed when the handler or the process ended in an error.
        """
        payload = msgspec.json.encode(event)
        try:
            self._expect(_NEXT)
            request = secrets.token_hex(16)
            deadline_ms = int((time.time() + _TIMEOUT_S) * 1000)
            self._reply(
                "200 OK",
                payload,
                f"Lambda-Runtime-Aws-Request-Id: {request}",
                f"Lambda-Runtime-Deadline-Ms: {deadline_ms}",
                "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:000000000000:function:cold",
            )
            body = self._expect(f"/2018-06-01/runtime/invocation/{request}/response")
            arrived = time.monotonic()
            self._reply("202 Accepted", b"{}")
        except (OSError, BenchFailed) as error:
            self.end()
            said = self.printed.decode(errors="replace")[-2000:]
            raise BenchFailed(f"{' '.join(self._command)}: {error}\n{said}") from error
        return Answer(msgspec.json.decode(body), arrived)

    def end(self) -> None:
        """End the process, and keep what it printed."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            self._output.seek(0)
            self.printed = self._output.read()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._listener.close()
        self._output.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    # --- the Runtime API -------------------------------------------------------------------

    def _expect(self, path: str) -> bytes:
        """The body of the next request, which must be for this path."""
        if self._connection is None:
            self._connection = self._accept()
        head = self._read_to(b"\r\n\r\n")
        request, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        body = self._read(int(headers.get("content-length", 0)))
        if request.split(" ")[1] != path:
            raise BenchFailed(f"{request}, not {path}: {body.decode(errors='replace')}")
        return body

    def _accept(self) -> socket.socket:
        connection, _ = self._listener.accept()
        connection.settimeout(_TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _reply(self, status: str, body: bytes, *headers: str) -> None:
        size = f"Content-Length: {len(body)}"
        lines = (f"HTTP/1.1 {status}", "Content-Type: application/json", size, *headers)
        assert self._connection is not None
        # In one write: two would wait for the client's delayed acknowledgement.
        self._connection.sendall("\r\n".join((*lines, "", "")).encode() + body)

    def _read_to(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._receive()
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._receive()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _receive(self) -> None:
        assert self._connection is not None
        part = self._connection.recv(65_536)
        if not part:
            raise BenchFailed("it closed the connection to the Runtime API")
        self._buffer += part


def _interpreter() -> str:
    """Python itself, not the virtual environment's link, which would bring its packages along."""
    return os.path.realpath(sys.executable)
