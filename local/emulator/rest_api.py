"""API Gateway's face: HTTP on loopback -> Lambda proxy events -> a function -> HTTP answers.

Limits and answers are those of a REST API with a proxy integration: what is wrong with the
request, the function or its answer comes out as the status that AWS gives for it. Keys are the
application's business; but what a web page of elsewhere has caused is refused here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import msgspec

from chalice_app.auth import is_here, is_own
from local.emulator.dispatcher import Dispatcher
from local.emulator.errors import EventTooLarge, Refused
from local.proxy_event import NO_ROUTE, Answer, Api, Headers, Routes, event_of, to_answer


def _message(status: int, text: str) -> Answer:
    return Answer(status, [("Content-Type", "application/json")], msgspec.json.encode({"message": text}))


TOO_LONG: Final = _message(413, "Request Too Long")
_TIMED_OUT: Final = _message(504, "Endpoint request timed out")
_BAD_ANSWER: Final = _message(502, "Internal server error")
_NOT_INVOKED: Final = _message(500, "Internal server error")
"""What a caller sees of a throttled or missing function; AWS keeps the 429 to itself."""
_ELSEWHERE: Final = _message(
    403, "This API answers requests for 127.0.0.1 and localhost, and pages of its own; see Host and Origin."
)

_ANY: Final = "ANY"


@dataclass(frozen=True)
class RestApi:
    """One deployed stage: which function answers which method of which resource."""

    id: str
    stage: str
    account: str
    resources: Mapping[str, Mapping[str, str]]
    """Path pattern -> method, or `ANY` -> name of the function."""


class RestApiFace:
    """Answers under `/<stage>/`; a request may take `timeout_s`."""

    def __init__(self, rest_api: RestApi, dispatcher: Dispatcher, timeout_s: float) -> None:
        self.route(rest_api)
        self._prefix = f"/{rest_api.stage}"
        self._no_stage = _no_stage(self._prefix)
        self._api = Api(rest_api.id, rest_api.stage, rest_api.account, self._prefix)
        self._dispatcher = dispatcher
        self._timeout_s = timeout_s

    def route(self, rest_api: RestApi) -> None:
        """Take the routes of this stage, which has been deployed anew."""
        self._resources = rest_api.resources
        self._routes = Routes(rest_api.resources)

    async def answer(
        self, method: str, path: str, query: str, headers: Headers, body: bytes, source_ip: str
    ) -> Answer:
        """Answer one request; `path` and `query` as they came, percent-encoded."""
        if not _is_from_here(headers):
            return _ELSEWHERE
        inner = path.removeprefix(self._prefix)
        if inner == path or (inner and not inner.startswith("/")):
            return self._no_stage
        route = self._routes.find(inner or "/")
        methods = self._resources[route.resource] if route else {}
        function = methods.get(method) or methods.get(_ANY)
        if route is None or function is None:
            return NO_ROUTE
        request_id = str(uuid4())
        forwarded = [*headers, ("x-forwarded-for", source_ip), ("x-forwarded-proto", "http")]
        event = event_of(
            self._api, route, method, inner or "/", query, forwarded, body, source_ip, request_id
        )
        answer = await self._invoke(function, msgspec.json.encode(event))
        return Answer(answer.status, [*answer.headers, ("x-amzn-RequestId", request_id)], answer.body)

    async def _invoke(self, function: str, event: bytes) -> Answer:
        try:
            async with asyncio.timeout(self._timeout_s):
                outcome = await self._dispatcher.invoke(function, event)
        except TimeoutError:
            return _TIMED_OUT
        except EventTooLarge:
            return TOO_LONG
        except Refused:
            return _NOT_INVOKED
        if outcome.failed:
            return _BAD_ANSWER
        try:
            return to_answer(_checked(msgspec.json.decode(outcome.payload)))
        except (msgspec.DecodeError, ValueError, TypeError, LookupError, AttributeError):
            return _BAD_ANSWER


def _no_stage(prefix: str) -> Answer:
    """AWS's answer to a path outside of every stage, and where the stage is, which AWS does not tell."""
    said = {"message": "Forbidden", "hint": f"Every path of this API begins with its stage, {prefix}"}
    return Answer(403, [("Content-Type", "application/json")], msgspec.json.encode(said))


def _is_from_here(headers: Headers) -> bool:
    """Whether a request names this machine as its host, and no page of another origin has caused it."""
    hosts = [value for name, value in headers if name.lower() == "host"]
    origins = [value for name, value in headers if name.lower() == "origin"]
    return len(hosts) == 1 and is_here(hosts[0]) and all(is_own(origin, hosts[0]) for origin in origins)


def _checked(response: Any) -> dict[str, Any]:
    """A proxy integration's answer, completed. Raises ValueError, TypeError, KeyError when it is none."""
    if not isinstance(response, dict) or response.keys() - _MEMBERS:
        raise ValueError("a proxy integration answers with an object of these members only")
    body = response.get("body")
    if body is not None and not isinstance(body, str):
        raise TypeError("the body is text")
    return {
        "statusCode": int(response["statusCode"]),
        "headers": response.get("headers") or {},
        "multiValueHeaders": response.get("multiValueHeaders") or {},
        "body": body or "",
        "isBase64Encoded": bool(response.get("isBase64Encoded")),
    }


_MEMBERS: Final = frozenset(("statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"))
