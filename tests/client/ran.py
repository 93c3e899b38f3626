"""How a run of the `bide` command ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ran:
    """Its exit code, and what it printed where."""

    code: int
    out: str
    err: str


Bide = Callable[..., Ran]
