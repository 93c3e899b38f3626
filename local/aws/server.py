"""AWS's API on loopback: `python -m local.aws.server --socket FD --line FD`.

moto in server mode, one server for all services: set AWS_ENDPOINT_URL to its address. What
it holds is gone with its process, which ends with the one that holds the line.
"""

from __future__ import annotations

import argparse
import socket
import sys

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from local.aws import mends
from local.line import Line, Ready


class _Handler(MotoRequestHandler):
    """Keeps connections open, as AWS does, and says nothing of each request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are written apart

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the listening socket")
    parser.add_argument("--line", type=int, required=True, help="descriptor of the line to the parent")
    arguments = parser.parse_args()
    line = Line(arguments.line)
    with line.starting():
        mends.install()
        listener = socket.socket(fileno=arguments.socket)
        host, port = listener.getsockname()
        app = DomainDispatcherApplication(create_backend_app)
        server = make_server(host, port, app, threaded=True, request_handler=_Handler, fd=listener.fileno())
    line.watch()
    line.report(Ready())
    server.serve_forever()


if __name__ == "__main__":
    main()
    sys.exit()
