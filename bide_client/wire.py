"""Reading what the server sent, field by field. Pure.

The readers raise TypeError or ValueError for what they cannot read; `reading()` turns
whatever goes wrong within it into one UnexpectedAnswer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from bide_client.errors import UnexpectedAnswer


@contextmanager
def reading(what: str) -> Iterator[None]:
    """UnexpectedAnswer says that `what` (such as "a task") cannot be read, and why."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise UnexpectedAnswer(f"The server sent {what} that cannot be read: {error!r}") from error


def text(value: object) -> str:
    """A text."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def text_or_none(value: object) -> str | None:
    """A text, or nothing."""
    return None if value is None else text(value)


def moment(value: object) -> datetime | None:
    """An aware time, or None for null."""
    return None if value is None else datetime.fromisoformat(text(value))


def whole_or_none(value: object) -> int | None:
    """A whole number, or nothing."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise TypeError(f"{value!r} is no whole number")
    return value


def number_or_none(value: object) -> float | None:
    """A number, or nothing."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise TypeError(f"{value!r} is no number")
    return value


def an_object(value: object) -> Mapping[str, Any]:
    """An object."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is no object")
    return value


def object_or_none(value: object) -> Mapping[str, Any] | None:
    """An object, or nothing."""
    return None if value is None else an_object(value)


def objects(value: object) -> Iterable[Mapping[str, Any]]:
    """A list of objects."""
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return [an_object(item) for item in value]
