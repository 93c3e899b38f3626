"""Errors of the edge itself: the request never reached the core.

BideError
└── EdgeError
    ├── MalformedJson          MALFORMED_JSON
    ├── InvalidRequest         INVALID_REQUEST
    │   └── InvalidFields      INVALID_REQUEST
    │       └── NotSupportedYet    NOT_SUPPORTED_YET
    ├── Unauthenticated        UNAUTHENTICATED
    ├── NotConfigured          NOT_CONFIGURED
    ├── Forbidden              FORBIDDEN
    ├── ForbiddenHost          FORBIDDEN_HOST
    ├── NotFound               NOT_FOUND
    ├── MethodNotAllowed       METHOD_NOT_ALLOWED
    └── UnsupportedMediaType   UNSUPPORTED_MEDIA_TYPE
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bide.errors import BideError


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field of a body; `pointer` is a JSON pointer (RFC 6901)."""

    pointer: str
    detail: str


class EdgeError(BideError):
    """The request was refused at the edge."""

    code = "EDGE"


class MalformedJson(EdgeError):
    """The body is not JSON."""

    code = "MALFORMED_JSON"


class InvalidRequest(EdgeError):
    """The request does not fit the API."""

    code = "INVALID_REQUEST"


class InvalidFields(InvalidRequest):
    """Fields of the body do not fit the API."""

    def __init__(self, fields: Sequence[FieldError]) -> None:
        self.fields = tuple(fields)
        count = len(self.fields)
        super().__init__(self.fields[0].detail if count == 1 else f"{count} fields of the body are wrong.")


class NotSupportedYet(InvalidFields):
    """The body uses a field that this version does not support yet."""

    code = "NOT_SUPPORTED_YET"


class Unauthenticated(EdgeError):
    """The API key is missing: send it as `Authorization: Bearer <key>`."""

    code = "UNAUTHENTICATED"


class NotConfigured(EdgeError):
    """The server is not configured."""

    code = "NOT_CONFIGURED"


class Forbidden(EdgeError):
    """This needs an operator's key: one whose SHA-256 stands in the server's BIDE_OPERATOR_KEY_HASHES."""

    code = "FORBIDDEN"


class ForbiddenHost(EdgeError):
    """This server answers requests for localhost only."""

    code = "FORBIDDEN_HOST"


class NotFound(EdgeError):
    """There is nothing at this path; GET / lists what there is."""

    code = "NOT_FOUND"


class MethodNotAllowed(EdgeError):
    """This method is not allowed here."""

    code = "METHOD_NOT_ALLOWED"

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        self.allowed = tuple(allowed)
        super().__init__(f"{method} is not allowed here; allowed: {', '.join(allowed)}.")


class UnsupportedMediaType(EdgeError):
    """The body must be JSON in UTF-8, and be called so: send `Content-Type: application/json`."""

    code = "UNSUPPORTED_MEDIA_TYPE"
