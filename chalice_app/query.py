"""Reading the query of a URL: parameters within limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chalice.app import Request

from chalice_app.errors import InvalidRequest

Parameters = Mapping[str, str]


def parameters(request: Request, known: Sequence[str]) -> Parameters:
    """The query. Raises InvalidRequest for what is not known, empty, given twice, or no text."""
    given = request.query_params
    if given is None:
        return {}
    for name, value in given.items():
        if name not in known:
            raise InvalidRequest(f"There is no parameter {name[:100]!a} here; there are {', '.join(known)}.")
        try:
            value.encode()
        except UnicodeEncodeError as error:  # half of a surrogate pair, which no store takes
            raise InvalidRequest(f"{name} is not UTF-8.") from error
        if not value:
            raise InvalidRequest(f"{name} is empty: give it a value, or leave it out.")
        if len(given.getlist(name)) > 1:
            raise InvalidRequest(f"{name} is given more than once; it has one value.")
    return given


def integer(given: Parameters, name: str, least: int, most: int, default: int) -> int:
    """A whole number from `least` to `most`. Raises InvalidRequest."""
    if name not in given:
        return default
    digits = given[name]
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20 and least <= int(digits) <= most):
        raise InvalidRequest(f"{name} is a whole number from {least:,} to {most:,}.")
    return int(digits)


def text(given: Parameters, name: str, longest: int) -> str:
    """A text; empty when it is not given. Raises InvalidRequest for one of more than `longest` characters."""
    found = given.get(name, "")
    if len(found) > longest:
        raise InvalidRequest(f"{name} has at most {longest} characters.")
    return found
