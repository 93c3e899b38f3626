"""Reading the query of a URL: parameters within limits."""

from __future__ import annotations

from chalice.app import Request

from chalice_app.errors import InvalidRequest


def integer(request: Request, name: str, least: int, most: int, default: int) -> int:
    """A whole number from `least` to `most`. Raises InvalidRequest."""
    given = text(request, name, 20)
    if not given:
        return default
    if not (given.isascii() and given.isdigit() and least <= int(given) <= most):
        raise InvalidRequest(f"The query's {name} must be a whole number from {least:,} to {most:,}.")
    return int(given)


def text(request: Request, name: str, longest: int) -> str:
    """A text; empty when it is not given. Raises InvalidRequest for one of more than `longest` characters."""
    given = request.query_params.get(name, "") if request.query_params else ""
    if len(given) > longest:
        raise InvalidRequest(
            f"The query's {name} has {len(given):,} characters; at most {longest} are taken."
        )
    return str(given)
