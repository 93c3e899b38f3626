"""A sample of measurements: rounds of two sides in turn, medians and percentiles."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence


def alternate(
    rounds: int, ours: Callable[[], float], theirs: Callable[[], float]
) -> list[tuple[float, float]]:
    """Measure both sides `rounds` times, each going first every other time; (ours, theirs) of each round."""
    pairs = []
    for number in range(rounds):
        if number % 2:
            reference = theirs()
            pairs.append((ours(), reference))
        else:
            own = ours()
            pairs.append((own, theirs()))
    return pairs


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest."""
    return min(values), max(values)
