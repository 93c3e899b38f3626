"""The Lambda service's HTTP endpoint, as far as callers of functions need it.

What it does not serve itself goes to `Upstream`, the endpoint that knows everything else of
the account. So the AWS SDK can use this one for all of Lambda's API. A gate asks each request for
the access key: whoever may invoke or change a function runs code here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from local.emulator import trace
from local.emulator.dispatcher import Deployed, Dispatcher
from local.emulator.errors import AccessDenied, InvalidRequest, NoSuchFunction, Refused
from local.emulator.function import AsyncRules
from local.emulator.upstream import Upstream
from local.proxy_event import Answer, Headers
from local.signing import Forbidden, Gate

FIGURES_PATH: Final = "/_emulator/figures"

_JSON: Final = ("Content-Type", "application/json")

_INVOKE: Final = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
_RECURSION: Final = re.compile(r"/2024-08-31/functions/([^/]+)/recursion-config")
_CONCURRENCY: Final = re.compile(r"/20[\d-]+/functions/([^/]+)/concurrency")
_EVENT_RULES: Final = re.compile(r"/2019-09-25/functions/([^/]+)/event-invoke-config")


class Service:
    """Answers one request at a time, as many as come."""

    def __init__(self, dispatcher: Dispatcher, upstream: Upstream | None, gate: Gate) -> None:
        self._dispatcher = dispatcher
        self._gate = gate
        self._upstream = upstream
        self._settings: tuple[tuple[re.Pattern[str], Callable[[str, str, bytes], Answer]], ...] = (
            (_RECURSION, self._recursion),
            (_EVENT_RULES, self._event_rules),
            (_CONCURRENCY, self._concurrency),
        )

    async def answer(
        self, method: str, path: str, query: str, headers: Headers, body: bytes, _source_ip: str
    ) -> Answer:
        """Answer one request; `path` and `query` as they came, percent-encoded."""
        try:
            scope = self._gate.admit(method, f"{path}?{query}" if query else path, headers, body)
        except Forbidden as refusal:
            return _refusal(AccessDenied(str(refusal)))
        if path == FIGURES_PATH:
            return _json(200, self._dispatcher.figures())
        lower = {name.lower(): value for name, value in headers}
        try:
            match = _INVOKE.fullmatch(path)
            if match:
                return await self._invoke(unquote(match[1]), method, lower, body)
            for pattern, handler in self._settings:
                match = pattern.fullmatch(path.rstrip("/"))
                if match:
                    answer = handler(unquote(match[1]), method, body)
                    if method != "GET" and self._upstream is not None:
                        # It keeps a record; what it does not know of is in force all the same.
                        await self._upstream.answer(scope, method, path, query, headers, body)
                    return answer
        except Refused as refusal:
            return _refusal(refusal)
        if self._upstream is None:
            return _refusal(NoSuchFunction(f"nothing answers {method} {path}"))
        return await self._upstream.answer(scope, method, path, query, headers, body)

    async def _invoke(self, name: str, method: str, headers: dict[str, str], body: bytes) -> Answer:
        kind = headers.get("x-amz-invocation-type", "RequestResponse")
        header = headers.get(trace.HEADER)
        if method != "POST":
            raise InvalidRequest(f"{method} is no way to invoke a function")
        if kind == "Event":
            request_id = self._dispatcher.accept(name, body, header)
            return Answer(202, [_JSON, ("x-amzn-RequestId", request_id)], b"")
        if kind == "DryRun":
            self._dispatcher.find(name)
            return Answer(204, [], b"")
        if kind != "RequestResponse":
            raise InvalidRequest(f"{kind} is no invocation type")
        outcome = await self._dispatcher.invoke(name, body, header)
        answered = [_JSON, ("X-Amz-Executed-Version", "$LATEST")]
        if outcome.failed:
            answered.append(("X-Amz-Function-Error", "Unhandled"))
        return Answer(200, answered, outcome.payload)

    def _recursion(self, name: str, method: str, body: bytes) -> Answer:
        deployed = self._dispatcher.find(name)
        if method == "PUT":
            loop = _members(body).get("RecursiveLoop")
            if loop not in ("Allow", "Terminate"):
                raise InvalidRequest(f"RecursiveLoop is Allow or Terminate, not {loop!r}")
            deployed.recursion_allowed = loop == "Allow"
        return _json(200, {"RecursiveLoop": "Allow" if deployed.recursion_allowed else "Terminate"})

    def _event_rules(self, name: str, method: str, body: bytes) -> Answer:
        deployed = self._dispatcher.find(name)
        if method == "DELETE":
            deployed.events.rules = AsyncRules()
            return Answer(204, [], b"")
        if method in ("PUT", "POST"):
            before = AsyncRules() if method == "PUT" else deployed.events.rules
            members = _members(body)
            deployed.events.rules = AsyncRules(
                retries=int(members.get("MaximumRetryAttempts", before.retries)),
                max_age_s=float(members.get("MaximumEventAgeInSeconds", before.max_age_s)),
            )
        return _json(200, _shown(deployed))

    def _concurrency(self, name: str, method: str, body: bytes) -> Answer:
        if method == "DELETE":
            self._dispatcher.reserve(name, None)
            return Answer(204, [], b"")
        if method == "PUT":
            self._dispatcher.reserve(name, int(_members(body)["ReservedConcurrentExecutions"]))
        count = self._dispatcher.reserved(name)
        return _json(200, {} if count is None else {"ReservedConcurrentExecutions": count})


def _shown(deployed: Deployed) -> dict[str, Any]:
    rules = deployed.events.rules
    return {
        "FunctionArn": f"{deployed.function.arn}:$LATEST",
        "MaximumRetryAttempts": rules.retries,
        "MaximumEventAgeInSeconds": int(rules.max_age_s),
    }


def _members(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise InvalidRequest(str(error)) from None


def _json(status: int, value: object) -> Answer:
    return Answer(status, [_JSON], msgspec.json.encode(value))


def _refusal(refusal: Refused) -> Answer:
    headers = [_JSON, ("x-amzn-ErrorType", refusal.code), *refusal.headers]
    return Answer(refusal.status, headers, msgspec.json.encode(refusal.fields()))
