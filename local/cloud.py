"""A cloud to start virtual machines in: `python -m local.cloud --socket FD --line FD`.

It answers the EC2 API with moto, whose instances are made to start slowly and to fail
now and then (`local.cloud_instances`). Besides, `GET /_calls` gives every call so far,
and `GET /_instances` every instance, as JSON. It answers requests alone that are signed with the
access key in its environment.
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from moto.moto_server.werkzeug_app import create_backend_app

from local.aws.serving import App, Environ, Guarded, serve
from local.cloud_calls import CallLog, Known
from local.cloud_instances import Fates, Launches, install
from local.line import Line, Ready
from local.signing import AccessKey, Gate

_THROTTLED: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>RequestLimitExceeded</Code>'
    b"<Message>Request limit exceeded.</Message></Error></Errors><RequestID>0</RequestID></Response>"
)
"""AWS answers so, with status 503."""


class Cloud:
    """The WSGI application. One DescribeInstances in `throttle_every` is throttled; 0: none is."""

    def __init__(self, fates: Fates, throttle_every: int = 0) -> None:
        self.log = CallLog()
        self._launches = Launches(fates)
        self._throttle_every = throttle_every
        self._describes = 0
        self._lock = threading.Lock()
        install(self._launches)
        self._moto: App = create_backend_app("ec2")

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"] in ("/_calls", "/_instances"):
            found = self.log.all() if environ["PATH_INFO"] == "/_calls" else self._instances()
            return _answer(start_response, "200 OK", "application/json", msgspec.json.encode(found))
        begun = time.monotonic()
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body: bytes = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = io.BytesIO(body)
        asked = parse_qsl(body.decode("utf-8", "replace"))
        action = dict(asked).get("Action", "")
        ids = [value for name, value in asked if name.startswith("InstanceId.")]
        statuses: list[int] = []

        def note_status(status: str, headers: Any, *rest: Any) -> Any:
            statuses.append(int(status.split(" ", 1)[0]))
            return start_response(status, headers, *rest)

        # One call at a time: moto's backends are not made for threads, and one interpreter has no more.
        with self._lock:
            if self._throttles(action):
                answer: Iterable[bytes] = _answer(
                    note_status, "503 Service Unavailable", "text/xml", _THROTTLED
                )
            else:
                answer = list(self._moto(environ, note_status))
        self.log.add(action, ids, begun, statuses[-1])
        return answer

    def _throttles(self, action: str) -> bool:
        if action != "DescribeInstances" or not self._throttle_every:
            return False
        self._describes += 1
        return self._describes % self._throttle_every == 0

    def _instances(self) -> dict[str, Known]:
        with self._launches.lock:
            return {
                instance.id: Known(
                    instance.state,
                    instance.public_ip_address,
                    instance.client_token,
                    instance.state_reason.message,
                )
                for instance in self._launches.refresh()
            }


def _answer(start_response: Any, status: str, kind: str, body: bytes) -> list[bytes]:
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the listening socket")
    parser.add_argument("--line", type=int, required=True, help="descriptor of the line to the supervisor")
    parser.add_argument("--pending", type=float, nargs=2, default=(10.0, 20.0), help="seconds: from, to")
    parser.add_argument("--failing-every", type=int, default=50, help="one in so many fails; 0: none")
    parser.add_argument("--throttle-every", type=int, default=0, help="one describe in so many; 0: none")
    parser.add_argument("--seed", type=int, default=1, help="of how long each is pending")
    arguments = parser.parse_args()
    line = Line(arguments.line)
    with line.starting():
        shortest, longest = arguments.pending
        fates = Fates(shortest, longest, arguments.failing_every, arguments.seed)
        cloud = Cloud(fates, arguments.throttle_every)
        listener = socket.socket(fileno=arguments.socket)
        gate = Gate(AccessKey.of(os.environ), ("ec2",), listener.getsockname()[1])
    line.watch()
    serve(listener, Guarded(gate, lambda _: cloud), lambda: line.report(Ready()))


if __name__ == "__main__":
    main()
    sys.exit()
