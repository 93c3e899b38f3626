"""Words for a person: numbers with their nouns, and what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Mapping


def count(number: int, noun: str, plural: str = "s") -> str:
    """`2 workers`, `1 worker`; `plural` is the ending of the noun for all numbers but one."""
    return f"{number} {noun}{plural if number != 1 else ''}"


def red(text: str, environ: Mapping[str, str]) -> str:
    """The text, in red where a terminal shows it; NO_COLOR takes the colour away."""
    if not sys.stdout.isatty() or environ.get("NO_COLOR"):
        return text
    return "\n".join(f"\033[31m{line}\033[0m" for line in text.split("\n"))
