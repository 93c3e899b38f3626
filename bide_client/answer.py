"""What comes back: a success, or the error that it becomes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import requests

from bide_client.address import Address
from bide_client.errors import ConnectionFailed, UnexpectedAnswer, problem_error
from bide_client.retry import seconds_from


@dataclass(frozen=True)
class Answer:
    """A success: 2xx with its JSON object; 204 and 304 with an empty one.

    `retry_after` in seconds, None without the header; `took` is how many
    seconds the answer took.
    """

    status: int
    json: Mapping[str, Any]
    etag: str | None
    retry_after: float | None
    took: float


def read(response: requests.Response, address: Address, took: float) -> Answer:
    """The answer in a response, or raise a ProblemError, UnexpectedAnswer or ConnectionFailed."""
    status, headers = response.status_code, response.headers
    if _is_cut(response):
        raise ConnectionFailed(
            f"The connection to the Bide server at {address.url} broke off within the answer.",
            may_have_arrived=True,
        )
    retry_after = seconds_from(headers.get("Retry-After"))
    parsed = {} if status in (204, 304) else _json_object(response)
    if status >= 400:
        raise problem_error(status, _problem(response, parsed, address), retry_after)
    if parsed is None or status not in (200, 202, 204, 304):
        raise UnexpectedAnswer(_unexpected(response, address))
    return Answer(status, parsed, headers.get("ETag"), retry_after, took)


def no_answer(
    error: requests.RequestException, address: Address, handled: BaseException | None
) -> ConnectionFailed:
    """Say why no answer came, whether the request may have arrived, and what to do.

    `handled` is the exception that the caller was handling before: no cause of this one.
    """
    causes = list(_chain(error, handled))
    cause = str(causes[-1]).rstrip(".")
    server = f"the Bide server at {address.url}"
    timed_out = isinstance(error, requests.Timeout)
    if isinstance(error, requests.ConnectTimeout):
        why = "it does not accept connections in time"
    elif timed_out:
        return ConnectionFailed(f"No answer in time from {server}.", may_have_arrived=True, timed_out=True)
    elif isinstance(error, requests.exceptions.ProxyError):
        why = f"the proxy failed ({cause})"
    elif isinstance(error, requests.exceptions.SSLError):
        why = f"no trusted TLS connection ({cause})"
    elif isinstance(error, ValueError):
        why = f"the URL cannot be used ({cause})"
    elif any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        why = "connection refused"
    elif any(isinstance(cause, socket.gaierror) for cause in causes):
        why = "the host name does not resolve"
    else:
        return ConnectionFailed(f"The connection to {server} broke off: {cause}.", may_have_arrived=True)
    if isinstance(error, requests.exceptions.SSLError):
        hint = "Mend the certificate, or write http:// for a server without TLS."
    else:
        hint = "Is `make up` running?" if address.loopback else "Check the URL and the network."
    return ConnectionFailed(
        f"Cannot reach {server}: {why}. {hint} (BIDE_URL or --url names the server.)",
        may_have_arrived=False,
        timed_out=timed_out,
    )


def _is_cut(response: requests.Response) -> bool:
    """Whether the body is shorter than announced; urllib3 before 2 does not tell."""
    announced = response.headers.get("Content-Length", "")
    if response.status_code == 304 or "Content-Encoding" in response.headers:
        return False
    return announced.isdigit() and len(response.content) < int(announced)


def _json_object(response: requests.Response) -> dict[str, Any] | None:
    try:
        parsed = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


_UNROUTED: Final = ("Forbidden", "Missing Authentication Token")
"""What API Gateway says of a path that leads to none of its stages, and to no route of one."""


def _problem(response: requests.Response, parsed: dict[str, Any] | None, address: Address) -> dict[str, Any]:
    """The problem of an answer; for one from a gateway in front, which knows no problems, the like of it."""
    if parsed is not None and ("title" in parsed or "code" in parsed):
        return parsed
    what = _status_line(response)
    message = (parsed or {}).get("message")
    detail = f"{what}: {message}" if message else what
    if response.status_code == 403 and message in _UNROUTED and not address.has_path:
        detail += (
            ". The URL lacks its stage: behind API Gateway a server's URL ends with one, such as "
            f"{address.url}/api. (BIDE_URL or --url names the server.)"
        )
    return {"title": what, "status": response.status_code, "detail": detail}


def _unexpected(response: requests.Response, address: Address) -> str:
    if location := response.headers.get("Location"):
        return f"{address.url} redirects to {location}: set BIDE_URL (or --url) to the final address."
    kind = response.headers.get("Content-Type", "no content type")
    what = _status_line(response)
    return f"What answered at {address.url} is no Bide server: {what}, {kind}. Is BIDE_URL (or --url) right?"


def _status_line(response: requests.Response) -> str:
    return f"{response.status_code} {response.reason}".strip()


def _chain(error: BaseException, handled: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, outermost first."""
    cause: BaseException | None = error
    while cause is not None and cause is not handled:
        yield cause
        cause = cause.__cause__ or cause.__context__
