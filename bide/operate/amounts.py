"""Amounts on an operator's command line: types for argparse, each with a complaint of its own."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path

from bide.retry import parse_seconds


def number(low: float, high: float = 1e9, *, positive: bool = False) -> Callable[[str], float]:
    """A number in these bounds; above 0 if positive."""

    def read_number(text: str) -> float:
        value = float(text) if re.fullmatch(r"\d+(\.\d*)?|\.\d+", text) else math.nan
        if not low <= value <= high or (positive and value == 0):
            bounds = f"above {low:g}" if positive else f"from {low:g}"
            raise argparse.ArgumentTypeError(f"{text!r} is no number {bounds} to {high:g}")
        return value

    return read_number


def whole(low: int, high: int = 1_000_000) -> Callable[[str], int]:
    """A whole number in these bounds."""

    def read_whole(text: str) -> int:
        if not re.fullmatch(r"\d{1,7}", text) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} to {high}")
        return int(text)

    return read_whole


def duration(text: str) -> float:
    """Seconds."""
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90, 15m, 6h or 3d") from error


def page(text: str) -> Path:
    """The file of a page."""
    if not text.endswith((".html", ".htm")):
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .html, which the plot is")
    return Path(text)
