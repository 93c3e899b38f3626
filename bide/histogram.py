"""Durations by the bucket of a logarithmic scale: thousands of them in a few counts, which add up. Pure.

Bucket 2 is 0 ms; bucket 3 + i reaches from 2^(i/4) ms to 2^((i+1)/4) ms, four to a doubling. lua/_series.lua
counts the same way. There is no bucket 1: Lua might take a map that has it for a list.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final

import msgspec

Histogram = Mapping[int, int]
"""How many durations fell into each bucket, those without any left out."""

PER_DOUBLING: Final = 4
ERROR: Final = 2 ** (1 / (2 * PER_DOUBLING)) - 1
"""A quantile is at most this share (9.1 %) off the duration that it stands for, and half a millisecond."""

_NONE: Final = 2
_FIRST: Final = 3


class Quantiles(msgspec.Struct, frozen=True):
    """Milliseconds that half, 95 % and 99 % of the durations do not exceed."""

    p50: int
    p95: int
    p99: int


def bucket(ms: int) -> int:
    """The bucket of a duration of whole milliseconds."""
    return _FIRST + math.floor(math.log(ms) * (PER_DOUBLING / math.log(2))) if ms > 0 else _NONE


def merged(histograms: Iterable[Histogram]) -> dict[int, int]:
    """The histogram of the durations of all of them."""
    total: dict[int, int] = {}
    for each in histograms:
        for of, count in each.items():
            total[of] = total.get(of, 0) + count
    return total


def quantiles(histogram: Histogram) -> Quantiles | None:
    """By nearest rank, each told as the geometric middle of its bucket; None without durations."""
    count = sum(histogram.values())
    if count == 0:
        return None
    ordered = sorted(histogram.items())
    return Quantiles(*(_middle(_at_rank(ordered, math.ceil(count * share))) for share in (0.5, 0.95, 0.99)))


def _at_rank(ordered: Sequence[tuple[int, int]], rank: int) -> int:
    """The bucket of the duration with that rank, from 1."""
    reached = accumulate(count for _, count in ordered)
    return next(each for (each, _), count in zip(ordered, reached, strict=True) if count >= rank)


def _middle(of: int) -> int:
    return round(2 ** ((of - _FIRST + 0.5) / PER_DOUBLING)) if of >= _FIRST else 0
