"""AWS's API on loopback: `python -m local.aws.server --socket FD --line FD`.

moto, one server for the services that a deployment of ours uses: set AWS_ENDPOINT_URL to its
address. It answers requests alone that are signed with the access key in its environment. What it
holds is gone with its process, which ends with the one that holds the line.
"""

from __future__ import annotations

import argparse
import functools
import os
import socket
import sys
import threading
from collections.abc import Iterable
from typing import Any, Final

from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import create_backend_app

from local.aws import mends
from local.aws.serving import App, Environ, Guarded, refuse, serve
from local.line import Line, Ready
from local.signing import AccessKey, Gate

SERVICES: Final = ("apigateway", "events", "iam", "kinesis", "lambda", "logs", "sqs")
"""What `chalice deploy`, the emulator and the functions call. Others of moto's would run programs."""

RESET: Final = "moto-api"
"""Not AWS's: POST /moto-api/reset has moto forget everything."""
_RESET: Final = ("POST", "/moto-api/reset")

_making = threading.Lock()


def _app_of(service: str) -> App:
    """moto's application for a service; each is made when it is first asked for."""
    if service == RESET:
        return _reset
    with _making:
        return _made(service)


@functools.cache
def _made(service: Any) -> App:
    made: App = create_backend_app(service)
    return made


def _reset(environ: Environ, start_response: Any) -> Iterable[bytes]:
    if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) != _RESET:
        return refuse(start_response, f"{' '.join(_RESET)} is all of moto's own API that is served here.")
    moto_api_backend.reset()
    start_response("200 OK", [("Content-Length", "0")])
    return []


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the listening socket")
    parser.add_argument("--line", type=int, required=True, help="descriptor of the line to the parent")
    arguments = parser.parse_args()
    line = Line(arguments.line)
    with line.starting():
        mends.install()
        listener = socket.socket(fileno=arguments.socket)
        gate = Gate(AccessKey.of(os.environ), (*SERVICES, RESET), listener.getsockname()[1])
    line.watch()
    serve(listener, Guarded(gate, _app_of), lambda: line.report(Ready()))


if __name__ == "__main__":
    main()
    sys.exit()
