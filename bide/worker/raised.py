"""Exceptions that outlive their process: as type, arguments and message. Never pickled. Pure."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec

from bide.errors import StepFailed

MOST_CHARS: Final = 2_000
"""Of a message that is kept."""
UNSHOWABLE: Final = "(its message cannot be shown)"


class Raised(msgspec.Struct, frozen=True):
    """An exception as a journal or a poller's answer keeps it, in JSON."""

    type: str
    """`module:qualified.name`."""
    message: str
    args: tuple[Any, ...] | None = None
    """None when JSON cannot hold them."""


def message_of(error: BaseException) -> str:
    """What an exception says: at most MOST_CHARS characters, half surrogate pairs perhaps among them."""
    try:
        return str(error)[:MOST_CHARS]
    except Exception:
        return UNSHOWABLE


def describe(error: BaseException) -> Raised:
    """What is kept of an exception."""
    kind = f"{type(error).__module__}:{type(error).__qualname__}"
    message = message_of(error).encode("utf-8", "replace").decode()
    try:
        args = msgspec.json.decode(msgspec.json.encode(error.args), type=tuple[Any, ...])
    except Exception:
        args = None
    return Raised(kind, message, args)


def restore(raised: Raised) -> Exception:
    """The exception again, made without running its `__init__`; StepFailed when its type is unknown here."""
    kind = _find(raised.type)
    if kind is None:
        return StepFailed(f"{raised.type.rpartition(':')[2]}: {raised.message}")
    args = (raised.message,) if raised.args is None else raised.args
    try:
        error = kind.__new__(kind, *args)  # OSError takes its errno from here
    except TypeError:
        error = kind.__new__(kind)
    error.args = args
    if hasattr(kind, "code"):
        vars(error).setdefault("message", raised.message)
    return error


def _find(type_name: str) -> type[Exception] | None:
    """The type, in a module that this process has loaded: code that can catch it has.

    A record of the store makes nothing run: no import, and no `__getattr__`, with which modules may import.
    """
    module, _, qualified = type_name.partition(":")
    found: Any = sys.modules.get(module)
    for name in qualified.split("."):
        found = getattr(found, "__dict__", {}).get(name)
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def guarded(call: Callable[[], Any]) -> Any:
    """What would end the worker, or asyncio's futures refuse, becomes an error like any other."""
    try:
        return call()
    except (StopIteration, SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"the function raised {type(error).__name__}") from error
