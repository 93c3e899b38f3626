"""REST proxy events (payload format 1.0): what API Gateway makes of requests and of handlers' answers."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
"""API Gateway's payload limit."""

TIMEOUT_SECONDS: Final = 29.0
"""How long API Gateway waits for a Lambda function."""

Headers = Sequence[tuple[str, str]]


class Answer(NamedTuple):
    """An HTTP response. `headers` may name one header several times."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


NO_ROUTE: Final = Answer(
    403, [("Content-Type", "application/json")], b'{"message":"Missing Authentication Token"}'
)
"""What API Gateway says where an app has no catch-all route."""


class Api(NamedTuple):
    """What the events of one stage have in common."""

    id: str
    stage: str
    account: str = "000000000000"
    prefix: str = ""
    """What stands before the path outside, such as `/api`; `requestContext` alone tells it."""


class Route(NamedTuple):
    """What a path leads to. `resource` is the pattern, `parameters` what its braces matched, decoded."""

    resource: str
    parameters: dict[str, str] | None


class Routes:
    """Finds a path's route as API Gateway does: exact segments before `{name}` before `{name+}`."""

    def __init__(self, resources: Iterable[str]) -> None:
        self._exact: dict[str, Route] = {}
        self._patterns: list[tuple[list[str], str]] = []
        for resource in resources:
            if "{" in resource:
                self._patterns.append((resource.split("/"), resource))
            else:
                self._exact[resource] = Route(resource, None)
        self._patterns.sort(key=lambda pattern: [_rank(segment) for segment in pattern[0]])

    def find(self, path: str) -> Route | None:
        """The route of `path`, which is still percent-encoded; a slash at its end does not count."""
        if len(path) > 1 and path.endswith("/"):
            path = path[:-1]
        exact = self._exact.get(path)
        if exact is not None:
            return exact
        segments = path.split("/")
        for pattern, resource in self._patterns:
            parameters = _match(pattern, segments)
            if parameters is not None:
                return Route(resource, parameters)
        return None


def _rank(segment: str) -> int:
    if not segment.startswith("{"):
        return 0
    return 2 if segment.endswith("+}") else 1


def _match(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    greedy = pattern[-1].endswith("+}")
    if len(segments) < len(pattern) or (len(segments) > len(pattern) and not greedy):
        return None
    parameters = {}
    for position, wanted in enumerate(pattern):
        if wanted.endswith("+}"):
            parameters[wanted[1:-2]] = unquote("/".join(segments[position:]))
        elif not wanted.startswith("{"):
            if wanted != segments[position]:
                return None
        elif segments[position]:
            parameters[wanted[1:-1]] = unquote(segments[position])
        else:
            return None
    return parameters


def _text(body: bytes) -> str | None:
    """The body as text, or None when it is not UTF-8."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def event_of(
    api: Api,
    route: Route,
    method: str,
    path: str,
    query: str,
    headers: Headers,
    body: bytes,
    source_ip: str,
    request_id: str,
) -> dict[str, Any]:
    """The event of a request; `path` and `query` as they came, percent-encoded."""
    all_headers: dict[str, list[str]] = {}
    for name, value in headers:
        all_headers.setdefault(name, []).append(value)
    all_parameters: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True) if query else ():
        all_parameters.setdefault(name, []).append(value)
    text = _text(body)
    decoded_path = unquote(path) if "%" in path else path
    now = time.time()
    last_headers = {name: values[-1] for name, values in all_headers.items()}
    return {
        "resource": route.resource,
        "path": decoded_path,
        "httpMethod": method,
        "headers": last_headers,
        "multiValueHeaders": all_headers,
        "queryStringParameters": {name: values[-1] for name, values in all_parameters.items()} or None,
        "multiValueQueryStringParameters": all_parameters or None,
        "pathParameters": route.parameters,
        "stageVariables": None,
        "requestContext": {
            "accountId": api.account,
            "apiId": api.id,
            "httpMethod": method,
            "identity": {"sourceIp": source_ip, "userAgent": last_headers.get("user-agent")},
            "path": api.prefix + decoded_path,
            "protocol": "HTTP/1.1",
            "requestId": request_id,
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "requestTimeEpoch": int(now * 1000),
            "resourcePath": route.resource,
            "stage": api.stage,
        },
        "body": (base64.b64encode(body).decode() if text is None else text) if body else None,
        "isBase64Encoded": text is None,
    }


def to_answer(response: Mapping[str, Any]) -> Answer:
    """The HTTP response that a proxy integration's answer stands for."""
    headers = [(name, str(value)) for name, value in response["headers"].items()]
    for name, values in response.get("multiValueHeaders", {}).items():
        headers += [(name, str(value)) for value in values]
    body = response["body"]
    if response.get("isBase64Encoded"):
        body = base64.b64decode(body, validate=True)
    elif isinstance(body, str):
        body = body.encode()
    return Answer(response["statusCode"], headers, body)
