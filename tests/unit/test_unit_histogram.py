"""Quantiles from buckets: how far off they may be, and that parts add up."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.histogram import ERROR, PER_DOUBLING, Quantiles, bucket, merged, quantiles

DURATIONS = st.lists(st.integers(0, 10**10), min_size=1, max_size=300)


def _counted(durations: list[int]) -> Counter[int]:
    return Counter(map(bucket, durations))


def _ranked(durations: list[int], share: float) -> int:
    return sorted(durations)[math.ceil(len(durations) * share) - 1]


@given(DURATIONS)
def test_a_quantile_is_within_the_error_of_the_duration_that_has_its_rank(durations: list[int]) -> None:
    told = quantiles(_counted(durations))
    assert told is not None
    for ms, share in ((told.p50, 0.5), (told.p95, 0.95), (told.p99, 0.99)):
        exact = _ranked(durations, share)
        assert abs(ms - exact) <= exact * ERROR * 1.000001 + 0.5


@given(DURATIONS, DURATIONS)
def test_parts_add_up_to_the_histogram_of_all(some: list[int], others: list[int]) -> None:
    assert merged([_counted(some), _counted(others)]) == _counted(some + others)


@given(st.integers(0, 10**10), st.integers(0, 10**10))
def test_a_longer_duration_has_no_lower_bucket(one: int, other: int) -> None:
    assert bucket(min(one, other)) <= bucket(max(one, other))


@given(st.integers(0, 10**12))
def test_no_bucket_would_make_a_list_of_the_map_in_lua(ms: int) -> None:
    assert bucket(ms) >= 2


@pytest.mark.parametrize("ms", range(8))
def test_the_shortest_durations_are_told_exactly(ms: int) -> None:
    assert quantiles({bucket(ms): 3}) == Quantiles(ms, ms, ms)


def test_a_doubling_has_four_buckets() -> None:
    assert bucket(2_048_001) - bucket(1_024_001) == PER_DOUBLING


def test_the_error_is_less_than_a_tenth() -> None:
    assert 0.09 < ERROR < 0.091


def test_without_durations_there_are_no_quantiles() -> None:
    assert quantiles({}) is None
    assert quantiles(merged([])) is None


def test_the_99th_of_a_hundred_is_not_the_slowest() -> None:
    told = quantiles(_counted([10] * 94 + [100] * 5 + [10_000]))
    assert told is not None
    assert (told.p50, told.p95 > 90, told.p99 < 111) == (10, True, True)
