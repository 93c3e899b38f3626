"""What is sent with a task or an event, from the command line. Pure but for reading files."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from bide_client.errors import UsageError


def arguments(words: Sequence[str], document: str | None) -> dict[str, Any]:
    """The arguments that `--args` gives (JSON, @FILE or -), with those of the `key=value` words over them.

    Raises UsageError with a message for the user.
    """
    found = _object(document) if document is not None else {}
    named: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"{word!r} is not key=value")
        if key in named:
            raise UsageError(f"{key!r} is given twice")
        named[key] = _value(key, value)
    return found | named


def event_body(document: str | None) -> Any:
    """The body of an event: JSON, @FILE or - (standard input); None without one. Raises UsageError."""
    return None if document is None else _from_document(document, "the event's body")


def batch_lines(document: str) -> list[tuple[int, dict[str, Any]]]:
    """The JSON objects in @FILE or - (standard input), one a line, each with the number of its line.

    Blank lines are left out. Raises UsageError.
    """
    if document != "-" and not document.startswith("@"):
        raise UsageError(f"{document!r} is neither @FILE nor -")
    found = []
    for number, line in enumerate(_read(document, "the batch").split("\n"), 1):
        if line.strip():
            parsed = _from_text(line, f"line {number}")
            if not isinstance(parsed, dict):
                raise UsageError(f"line {number} is no JSON object")
            found.append((number, parsed))
    return found


def _value(key: str, value: str) -> Any:
    """JSON if it is JSON, else the text itself."""
    try:
        return _parsed(value)
    except json.JSONDecodeError:
        return value
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the value of {key!r} cannot be read: {_reason(error)}") from error


def _object(document: str) -> dict[str, Any]:
    parsed = _from_document(document, "--args")
    if not isinstance(parsed, dict):
        raise UsageError("--args must be a JSON object, such as '{\"value\": 1}'")
    return parsed


def _from_document(document: str, what: str) -> Any:
    """The JSON in a document; `what` it is for, in messages."""
    return _from_text(_read(document, what), what)


def _from_text(text: str, what: str) -> Any:
    try:
        return _parsed(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{what} is not JSON: {_reason(error)}") from error


def _read(document: str, what: str) -> str:
    """The text of a document: itself, of @FILE, or of - (standard input)."""
    try:
        if document == "-":
            return sys.stdin.buffer.read().decode()
        if document.startswith("@"):
            return Path(document[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{what} {document}: {_reason(error)}") from error
    return document


def _parsed(text: str) -> Any:
    """Strict JSON: Python's NaN and Infinity are none."""

    def refuse(constant: str) -> NoReturn:
        raise json.JSONDecodeError(f"{constant} is no JSON", text, text.find(constant))

    return json.loads(text, parse_constant=refuse)


def _reason(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
