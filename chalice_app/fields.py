"""Explains what is wrong with a body, field by field. Only for bodies known to be wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from bide.errors import InvalidArguments
from chalice_app.errors import EdgeError, FieldError, InvalidFields, NotSupportedYet

LATER: Final = frozenset({"priority", "expires", "callback_url", "tags", "unique"})
"""Fields of a submission that a later version takes."""

_MOST: Final = 10
"""Fields that are listed at most."""

_MAX_DIGITS: Final = 4300
_OUT_OF_RANGE: Final = f"Number out of range: integers have up to {_MAX_DIGITS} digits, others fit a double."


def explain(
    raw: bytes, type: type[msgspec.Struct], error: msgspec.ValidationError
) -> EdgeError | InvalidArguments:
    """The error to raise for a body that is JSON but was refused with `error`."""
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        pointer = _number_out_of_range(raw)
        if pointer is None:
            return InvalidFields([FieldError("", f"{error}.")])
        if pointer.startswith("/args"):
            return InvalidArguments(_OUT_OF_RANGE, pointer.removeprefix("/args"))
        return InvalidFields([FieldError(pointer, _OUT_OF_RANGE)])
    if not isinstance(body, dict):
        return InvalidFields([FieldError("", "The body must be a JSON object.")])
    wrong = list(_wrong_fields(body, type))
    unknown = [name for name in body if name not in type.__struct_fields__]
    later = [FieldError(_pointer(name), "Not supported yet.") for name in unknown if name in LATER]
    wrong += [FieldError(_pointer(name), "There is no such field.") for name in unknown if name not in LATER]
    if later and not wrong:
        return NotSupportedYet(later)
    return InvalidFields([*wrong, *later][:_MOST] or [FieldError("", f"{error}.")])


def _wrong_fields(body: dict[str, Any], type: type[msgspec.Struct]) -> Iterator[FieldError]:
    for field in msgspec.structs.fields(type):
        if field.name not in body:
            if field.required:
                yield FieldError(_pointer(field.name), "This field is required.")
            continue
        try:
            msgspec.convert(body[field.name], field.type)
        except msgspec.ValidationError as error:
            yield FieldError(_pointer(field.name), f"{error}.")


def _pointer(*path: str | int) -> str:
    return "".join("/" + str(part)[:100].replace("~", "~0").replace("/", "~1") for part in path)


def _number_out_of_range(raw: bytes) -> str | None:
    """A pointer to the first number that cannot be held."""
    try:
        body = json.loads(raw, parse_int=_integer, parse_float=_float)
        return next((_pointer(*path) for path in _paths_of_too_big(body)), None)
    except (ValueError, RecursionError):
        return None


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
