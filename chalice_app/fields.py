"""Explains what is wrong with a body, field by field. Only for bodies known to be wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from bide.definition import located
from bide.errors import BideError, InvalidArguments
from chalice_app.errors import FieldError, InvalidFields, NotSupportedYet
from chalice_app.limits import MAX_EXPLAINED, MAX_EXPLAINED_BYTES

_MOST: Final = 10
"""Fields that are listed at most."""
_NOT_SUPPORTED: Final = "Not supported yet."
_NO_SUCH_FIELD: Final = "There is no such field."
_REQUIRED: Final = "This field is required."
_NO_OBJECT: Final = "The body must be a JSON object."

_MAX_DIGITS: Final = 4300
_OUT_OF_RANGE: Final = f"Number out of range: integers have up to {_MAX_DIGITS} digits, others fit a double."


class Explaining:
    """How much of one request's wrong bodies is still explained. To find all that is wrong takes many times
    what it takes to find that something is, so it is done for few bodies, of few bytes.
    """

    def __init__(self) -> None:
        self._bodies = MAX_EXPLAINED
        self._bytes = MAX_EXPLAINED_BYTES

    def takes(self, size: int) -> bool:
        """Whether a body of so many bytes is explained; it counts then."""
        if self._bodies < 1 or size > self._bytes:
            return False
        self._bodies -= 1
        self._bytes -= size
        return True


def explain(body: Any, kind: type[msgspec.Struct], error: msgspec.ValidationError) -> InvalidFields:
    """What to raise for a body that was refused with `error` where one like `kind` is expected.

    `kind.LATER` may name fields that a later version takes, and `kind.WORDS` say of fields what they take.
    """
    if not isinstance(body, dict):
        return InvalidFields([FieldError("", _NO_OBJECT)])
    later = _later(kind)
    unknown = [name for name in body if name not in kind.__struct_fields__]
    unsupported = [FieldError(_pointer(name), _NOT_SUPPORTED) for name in unknown if name in later]
    strange = [name for name in unknown if name not in later]
    wrong = list(_wrong_fields(body, kind))
    wrong += [FieldError(_pointer(name), _NO_SUCH_FIELD) for name in strange[:_MOST]]
    if unsupported and not wrong:
        return NotSupportedYet(unsupported)
    return InvalidFields([*wrong, *unsupported][:_MOST] or [FieldError("", f"{error}.")])


def explain_briefly(kind: type[msgspec.Struct], error: msgspec.ValidationError) -> BideError:
    """The like of `explain`, from what the decoder says alone: the first thing that is wrong."""
    text, pointer = located(error)
    field, _, rest = pointer.removeprefix("/").partition("/")
    if "out of range" in text:
        if field == "args":
            return InvalidArguments(_OUT_OF_RANGE, f"/{rest}" if rest else "")
        return InvalidFields([FieldError(pointer, _OUT_OF_RANGE)])
    if text.startswith("Object contains unknown field"):
        if field in _later(kind):
            return NotSupportedYet([FieldError(pointer, _NOT_SUPPORTED)])
        return InvalidFields([FieldError(pointer, _NO_SUCH_FIELD)])
    if text.startswith("Object missing required field"):
        return InvalidFields([FieldError(pointer, _REQUIRED)])
    if not pointer:
        return InvalidFields([FieldError("", _NO_OBJECT)])
    return InvalidFields([FieldError(f"/{field}", _words(kind).get(field) or text)])


def explain_number(raw: bytes) -> InvalidFields:
    """What to raise for a body with a number out of range: it points at the first, if it can be found."""
    return InvalidFields([FieldError(_number_out_of_range(raw), _OUT_OF_RANGE)])


def explain_number_of_task(raw: bytes) -> InvalidFields | InvalidArguments:
    """The like for a body whose field `args` has a task's arguments."""
    refused = explain_number(raw)
    field, _, rest = refused.fields[0].pointer.removeprefix("/").partition("/")
    if field == "args" and rest:
        return InvalidArguments(_OUT_OF_RANGE, f"/{rest}")
    return refused


def _wrong_fields(body: dict[str, Any], kind: type[msgspec.Struct]) -> Iterator[FieldError]:
    words = _words(kind)
    for field in msgspec.structs.fields(kind):
        if field.name not in body:
            if field.required:
                yield FieldError(_pointer(field.name), _REQUIRED)
            continue
        try:
            msgspec.json.decode(msgspec.json.encode(body[field.name]), type=field.type)
        except msgspec.ValidationError as error:
            yield FieldError(_pointer(field.name), words.get(field.name) or f"{error}.")


def _later(kind: type[msgspec.Struct]) -> frozenset[str]:
    found: frozenset[str] = getattr(kind, "LATER", frozenset())
    return found


def _words(kind: type[msgspec.Struct]) -> Mapping[str, str]:
    found: Mapping[str, str] = getattr(kind, "WORDS", {})
    return found


def _pointer(*path: str | int) -> str:
    return "".join("/" + str(part)[:100].replace("~", "~0").replace("/", "~1") for part in path)


def _number_out_of_range(raw: bytes) -> str:
    try:
        body = json.loads(raw, parse_int=_integer, parse_float=_float)
        return next((_pointer(*path) for path in _paths_of_too_big(body)), "")
    except (ValueError, RecursionError):
        return ""


class _TooBig:
    """Stands for a number out of range."""


def _integer(text: str) -> Any:
    return _TooBig if len(text.lstrip("-")) > _MAX_DIGITS else 0


def _float(text: str) -> Any:
    return 0.0 if math.isfinite(float(text)) else _TooBig


def _paths_of_too_big(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if value is _TooBig:
        yield path
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _paths_of_too_big(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths_of_too_big(item, (*path, index))
