"""Numbers with their nouns."""

from __future__ import annotations


def count(number: int, noun: str, plural: str = "s") -> str:
    """`2 workers`, `1 worker`; `plural` is the ending of the noun for all numbers but one."""
    return f"{number} {noun}{plural if number != 1 else ''}"
