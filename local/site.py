"""The web site that the demo checks: `python -m local.site --socket FD --line FD`.

A real HTTP server whose pages are good, slow, failing, redirecting, redirecting for
ever, and hanging: accepted, read, and never answered.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
from http import HTTPStatus
from typing import Final

from local.line import Line, Ready

SLOW_SECONDS: Final = 0.5


def page(number: int) -> bytes:
    """What page `number` shows; no two have the same length."""
    return f"<!doctype html><title>Page {number}</title><p>{'.' * number}\n".encode()


async def _answer(path: str) -> bytes:
    """The response to `GET /<kind>/<number>`."""
    kind, _, number = path.strip("/").partition("/")
    match kind:
        case "slow":
            await asyncio.sleep(SLOW_SECONDS)
        case "failing":
            return _response(HTTPStatus.INTERNAL_SERVER_ERROR, b"This page always fails.\n")
        case "redirecting":
            return _response(HTTPStatus.FOUND, b"", f"/good/{number}")
        case "looping":
            return _response(HTTPStatus.FOUND, b"", path)
        case "hanging":
            await asyncio.Event().wait()
    return _response(HTTPStatus.OK, page(int(number)))


def _response(status: HTTPStatus, body: bytes, location: str | None = None) -> bytes:
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Length: {len(body)}\r\n"
    if location is not None:
        head += f"Location: {location}\r\n"
    return f"{head}\r\n".encode() + body


async def _serve_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while request := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"):
            writer.write(await _answer(request.split(" ", 2)[1]))
            await writer.drain()
    writer.close()


async def _serve(listener: socket.socket, line: Line) -> None:
    server = await asyncio.start_server(_serve_client, sock=listener)
    line.watch()
    line.report(Ready())
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the listening socket")
    parser.add_argument("--line", type=int, required=True, help="descriptor of the line to the supervisor")
    arguments = parser.parse_args()
    asyncio.run(_serve(socket.socket(fileno=arguments.socket), Line(arguments.line)))


if __name__ == "__main__":
    main()
