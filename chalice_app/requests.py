"""Reading requests: bodies as strict JSON within limits, and the headers that matter."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import msgspec
from chalice.app import Request

from bide.errors import BideError, OperationNotFound, TaskNotFound, TooLarge
from bide.ids import OperationId, TaskId, parse_id, parse_operation_id
from chalice_app import fields
from chalice_app.errors import InvalidRequest, MalformedJson, UnsupportedMediaType
from chalice_app.limits import (
    MAX_BATCH_BYTES,
    MAX_BODY_BYTES,
    MAX_DEPTH,
    MAX_EVENT_NAME_LENGTH,
    MAX_KEY_LENGTH,
    MAX_WAIT_SECONDS,
)

_JSON: Final = "application/json"
_CHARSET: Final = re.compile(r';\s*charset\s*=\s*"?([^\s;"]*)', re.IGNORECASE)
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""A level more, a level less, as signed bytes."""
_ALL_ELSE: Final = bytes(set(range(256)) - set(b"[]{}"))
_KEY: Final = re.compile(rf"[!-~]{{1,{MAX_KEY_LENGTH}}}")
_EVENT_NAME: Final = re.compile(rf"[a-z0-9_-]{{1,{MAX_EVENT_NAME_LENGTH}}}")
_WAIT: Final = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?([0-9]{1,18})"?\s*(?=$|[,;])', re.IGNORECASE)
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")

_Body = TypeVar("_Body", bound=msgspec.Struct)
_Decoded = TypeVar("_Decoded")


def read_body(
    request: Request,
    decoder: msgspec.json.Decoder[_Body],
    most_bytes: int = MAX_BODY_BYTES,
    most_levels: int = MAX_DEPTH,
) -> _Body:
    """The body, a JSON object of at most `most_bytes` that fits the decoder's type.

    A missing Content-Type passes for JSON, except from a web page. Raises UnsupportedMediaType, TooLarge,
    MalformedJson, InvalidRequest (too deep), InvalidFields and InvalidArguments.
    """
    raw = _raw_body(request, most_bytes)
    _expect_json(request)
    if not raw:
        raise MalformedJson("The body is empty; a JSON object is expected.")
    try:
        body = _decode(raw, decoder.decode)
    except msgspec.ValidationError as error:
        wrong = _explained(raw, decoder.type, error, fields.Explaining())
        _check_depth(raw, most_levels)
        raise wrong from error
    _check_depth(raw, most_levels)
    return body


def read_part(raw: bytes, decoder: msgspec.json.Decoder[_Body], explaining: fields.Explaining) -> _Body:
    """A JSON object that fits the decoder's type, of a body whose depth has been looked at.

    Raises MalformedJson, InvalidFields and InvalidArguments.
    """
    try:
        return _decode(raw, decoder.decode)
    except msgspec.ValidationError as error:
        raise _explained(raw, decoder.type, error, explaining) from error


def read_optional_body(request: Request, decoder: msgspec.json.Decoder[_Body]) -> _Body:
    """The same, where an empty body is as good as an empty object."""
    return read_body(request, decoder) if _raw_body(request, MAX_BODY_BYTES) else decoder.decode(b"{}")


def read_value(request: Request, most_bytes: int) -> Any:
    """The body, any JSON value of at most `most_bytes`; an empty one is None. Raises as `read_body` does."""
    raw = _raw_body(request, most_bytes)
    if not raw:
        return None
    _expect_json(request)
    try:
        value = _decode(raw, msgspec.json.decode)
    except msgspec.ValidationError as error:
        raise fields.explain_number(raw) from error
    _check_depth(raw)
    return value


def expect_no_body(request: Request) -> None:
    """Take an empty body or an empty JSON object. Raises as `read_body` does."""
    if _raw_body(request, MAX_BODY_BYTES):
        read_body(request, _EMPTY)


class _Empty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


_EMPTY: Final = msgspec.json.Decoder(_Empty)


def _decode(raw: bytes, decode: Callable[[bytes], _Decoded]) -> _Decoded:
    """The body as JSON. Raises msgspec.ValidationError where it is JSON, but not what is expected."""
    try:
        return decode(raw)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        raise MalformedJson(_sentence(str(error))) from error
    except UnicodeDecodeError as error:
        raise MalformedJson("The body is not JSON: it is not UTF-8.") from error
    except RecursionError as error:
        raise _too_deep() from error


def _explained(
    raw: bytes, kind: type[msgspec.Struct], error: msgspec.ValidationError, explaining: fields.Explaining
) -> BideError:
    """What to raise for a refused body: the decoder stopped at the first thing that did not fit.

    Raises MalformedJson where the rest is no JSON.
    """
    try:
        body = _decode(raw, msgspec.json.decode)
    except msgspec.ValidationError:  # a number out of range
        if explaining.takes(len(raw)):
            return fields.explain_number_of_task(raw)
    else:
        if explaining.takes(len(raw)):
            return fields.explain(body, kind, error)
    return fields.explain_briefly(kind, error)


def _expect_json(request: Request) -> None:
    content_type = request.headers.get("content-type")
    if content_type == _JSON:
        return
    # A browser asks nobody before it sends a body without a type, or with a form's, to another origin.
    is_json = _is_json(content_type) if content_type else "origin" not in request.headers
    if not is_json:
        raise UnsupportedMediaType


def _is_json(content_type: str) -> bool:
    charset = _CHARSET.search(content_type)
    named = content_type.partition(";")[0].strip().lower() == _JSON
    return named and (charset is None or charset[1].lower() == "utf-8")


def _raw_body(request: Request, most_bytes: int) -> bytes:
    try:
        raw = request.raw_body
    except ValueError as error:  # broken Base64, or half of a surrogate pair in the event
        raise MalformedJson("The body is not JSON: it is not UTF-8.") from error
    if len(raw) > most_bytes:
        raise TooLarge(f"The body has {len(raw)} bytes; at most {most_bytes} are taken.")
    return raw if isinstance(raw, bytes) else raw.encode()


def body_size(request: Request) -> int:
    """Bytes of a body that has been read."""
    return len(_raw_body(request, MAX_BATCH_BYTES))


def expect_storable(what: str, stored: int, sent: int, most: int) -> None:
    """Take no more bytes than `most` as they are stored: JSON that is sent short may be written out long.

    what: was sent, such as "body". Raises TooLarge.
    """
    if stored > most:
        raise TooLarge(
            f"The {what} has {sent} bytes, but {stored} as it is stored: numbers are written out, such as "
            f"1e15 as 1000000000000000.0. At most {most} are taken."
        )


def _check_depth(raw: bytes, most: int = MAX_DEPTH) -> None:
    """Refuse valid JSON that is nested too deeply, as later readers recurse."""
    if raw.count(b"[") + raw.count(b"{") <= most:
        return
    steps = memoryview(_STRING.sub(b"", raw).translate(_STEPS, _ALL_ELSE)).cast("b")
    if max(accumulate(steps), default=0) > most:
        raise _too_deep(most)


def _too_deep(most: int = MAX_DEPTH) -> InvalidRequest:
    return InvalidRequest(f"The body is nested too deeply: at most {most} levels are taken.")


def _sentence(message: str) -> str:
    """msgspec's words, with "truncated" also meaning a string that ends inside an escape."""
    if message == "Input data was truncated":
        return "The body is not JSON: it ends too early, or holds half of a surrogate pair."
    return f"The body is not JSON: {message.removeprefix('JSON is malformed: ')}."


def task_id(text: str) -> TaskId:
    """The id in a path. Raises TaskNotFound for what is none, as no task has such an id."""
    id = parse_id(unquoted(text))
    if id is None:
        raise TaskNotFound("There is no such task: this is no task id.")
    return id


def operation_id(text: str) -> OperationId:
    """The id of an operation in a path. Raises OperationNotFound."""
    id = parse_operation_id(unquoted(text))
    if id is None:
        raise OperationNotFound("There is no such operation: this is no operation's id.")
    return id


def event_name(text: str) -> str:
    """The name of an event in a path. Raises InvalidRequest."""
    name = unquoted(text)
    if not _EVENT_NAME.fullmatch(name):
        raise InvalidRequest(
            f"An event's name has 1 to {MAX_EVENT_NAME_LENGTH} characters, each one of a-z, 0-9, _ and -."
        )
    return name


def unquoted(text: str) -> str:
    """What a part of a path says."""
    return unquote(text) if "%" in text else text


def idempotency_key(headers: Mapping[str, str]) -> str:
    """The Idempotency-Key, empty without one. Raises InvalidRequest."""
    key = headers.get("idempotency-key")
    if key is None:
        return ""
    if not _KEY.fullmatch(key):
        raise InvalidRequest(f"Idempotency-Key must be 1 to {MAX_KEY_LENGTH} visible ASCII characters.")
    return key


def wait_seconds(headers: Mapping[str, str]) -> int:
    """The n of `Prefer: wait=n`, cut down to the limit; 0 without one, or with one that makes no sense."""
    preferences = headers.get("prefer")
    if preferences is None:
        return 0
    match = _WAIT.search(preferences)
    return min(int(match[1]), MAX_WAIT_SECONDS) if match else 0


def matches(headers: Mapping[str, str], etag: str) -> bool:
    """Whether If-None-Match names this entity tag (with its quotes), or any."""
    sent = headers.get("if-none-match")
    return sent is not None and (etag in sent or sent.strip() == "*")


def base_path(request: Request, path: str) -> str:
    """What stands before `path` in the URL: empty, or a stage of API Gateway such as `/api`."""
    full = str(request.context.get("path", path))
    prefix = full.rstrip("/").removesuffix(path.rstrip("/"))
    return prefix if _PREFIX.fullmatch(prefix) else ""
