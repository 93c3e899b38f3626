"""Tasks that the tests submit. Nothing runs them but a hand-driven worker."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from bide import Retry, task


class Line(Struct):
    """One line of an order."""

    sku: str
    count: Annotated[int, Meta(ge=1)]


@task
def echo(value: Any) -> Any:
    """Return what was sent."""
    return value


@task
def add(a: int, b: int = 0) -> int:
    return a + b


@task(queue="orders", retry=Retry(max_attempts=5), retention="1h")
def order(lines: list[Line], notes: dict[str, str] = {}) -> int:  # noqa: B006 - read only, and a default to test
    return len(lines)


@task(expires="10m", deadline="2h")
def hurry() -> None: ...


@task(name="house.keep")
def keep() -> None:
    """Take no arguments."""


@task(local_only=True)
def reach_out(url: str) -> int:
    return len(url)
