"""Errors as answers (RFC 9457). The only place that knows which error is which HTTP status."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from chalice.app import Request, Response

from bide.errors import (
    BideError,
    Closed,
    IdempotencyConflict,
    InboxFull,
    InvalidArguments,
    NotUnique,
    OperationNotFound,
    QueueNotFound,
    RateLimited,
    StoreUnavailable,
    TaskFinished,
    TaskNotFailed,
    TaskNotFinished,
    TaskNotFound,
    TooLarge,
    TooManyOperations,
    UnknownQueue,
    UnknownTask,
)
from chalice_app.errors import (
    FieldError,
    Forbidden,
    ForbiddenHost,
    InvalidFields,
    InvalidRequest,
    MalformedJson,
    MethodNotAllowed,
    NotConfigured,
    NotFound,
    NotSupportedYet,
    Unauthenticated,
    UnsupportedMediaType,
)
from chalice_app.limits import (
    CLOSED_RETRY_AFTER,
    INBOX_RETRY_AFTER,
    OPERATIONS_RETRY_AFTER,
    STORE_RETRY_AFTER,
)

MEDIA_TYPE: Final = "application/problem+json"
INTERNAL: Final = "INTERNAL"

STATUS: Final[Mapping[type[BideError], int]] = {
    MalformedJson: 400,
    InvalidRequest: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    ForbiddenHost: 403,
    NotFound: 404,
    QueueNotFound: 404,
    TaskNotFound: 404,
    OperationNotFound: 404,
    MethodNotAllowed: 405,
    NotUnique: 409,
    TaskFinished: 409,
    TaskNotFinished: 409,
    TaskNotFailed: 409,
    TooLarge: 413,
    UnsupportedMediaType: 415,
    IdempotencyConflict: 422,
    InvalidArguments: 422,
    InvalidFields: 422,
    NotSupportedYet: 422,
    UnknownQueue: 422,
    UnknownTask: 422,
    InboxFull: 429,
    RateLimited: 429,
    TooManyOperations: 429,
    Closed: 503,
    NotConfigured: 503,
    StoreUnavailable: 503,
}
"""Anything else is a fault of ours: 500."""

_log = logging.getLogger("bide.api")
_encode = msgspec.json.Encoder().encode


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body. Its `type` is "about:blank" by omission: `code` says what happened."""

    title: str
    status: int
    detail: str
    code: str
    errors: tuple[FieldError, ...] = ()
    task: str = ""
    """Of a NOT_UNIQUE one: the id of the task that has the value."""
    request_id: str = ""
    """Of an INTERNAL one; the log has it too."""


def answer(error: Exception, request: Request | None, headers: Mapping[str, str] = {}) -> Response:
    """The answer to a request that ended in `error`, with extra `headers`."""
    problem = describe(error)
    if problem is None or not isinstance(error, BideError):
        return _internal(error, request)
    return _response(problem, {**headers_of(error), **headers})


def describe(error: Exception) -> Problem | None:
    """The problem that an error is; None for a fault of ours. Logs what is no fault of the request.

    A server that is not configured says so at each request, and has logged why when it found out.
    """
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)
    if status is None or not isinstance(error, BideError):
        return None
    if status >= 500 and not isinstance(error, Closed | NotConfigured):
        _log.error("%s: %s", error.code, error.__cause__ or error)
    task = error.task if isinstance(error, NotUnique) else ""
    return Problem(HTTPStatus(status).phrase, status, error.message, error.code, _field_errors(error), task)


def rewritten(response: Response, request: Request | None, allowed: Sequence[str]) -> Response:
    """The response, or a problem in place of what Chalice itself answers; `allowed` methods the path has."""
    if response.status_code < 400 or response.headers.get("Content-Type") == MEDIA_TYPE:
        return response
    if response.status_code == 405 and request is not None:
        return answer(MethodNotAllowed(request.method, allowed) if allowed else NotFound(), request)
    return _internal(None, request)


def _internal(error: Exception | None, request: Request | None) -> Response:
    request_id = str((request.context if request else {}).get("requestId") or secrets.token_hex(8))
    path = request.path if request else "an unknown path"
    _log.error("Request %s for %s failed", request_id, path, exc_info=error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    detail = f"The server failed; its log tells more under request {request_id}."
    return _response(Problem(status.phrase, status.value, detail, INTERNAL, request_id=request_id), {})


def _response(problem: Problem, headers: Mapping[str, str]) -> Response:
    body = _encode(problem).decode()
    return Response(body=body, status_code=problem.status, headers={"Content-Type": MEDIA_TYPE, **headers})


def _field_errors(error: BideError) -> tuple[FieldError, ...]:
    match error:
        case InvalidFields():
            return error.fields
        case InvalidArguments():
            return (FieldError(f"/args{error.pointer}", error.message),)
        case UnknownTask():
            return (FieldError("/name", error.message),)
        case UnknownQueue():
            return (FieldError("/queue", error.message),)
    return ()


def headers_of(error: BideError) -> dict[str, str]:
    """What the answer to such an error has beside its body."""
    match error:
        case Closed():
            return {"Retry-After": str(error.retry_after or CLOSED_RETRY_AFTER)}
        case RateLimited():
            return {"Retry-After": str(math.ceil(error.retry_after_ms / 1000))}
        case InboxFull():
            return {"Retry-After": str(INBOX_RETRY_AFTER)}
        case TooManyOperations():
            return {"Retry-After": str(OPERATIONS_RETRY_AFTER)}
        case StoreUnavailable():
            return {"Retry-After": str(STORE_RETRY_AFTER)}
        case MethodNotAllowed():
            return {"Allow": ", ".join(error.allowed)}
        case Unauthenticated():
            return {"WWW-Authenticate": 'Bearer realm="bide"'}
    return {}
