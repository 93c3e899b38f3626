"""The last minutes, by queue and by task: what adds up, and what is left out."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.series import MINUTES, MOST_POINTS, MOST_SERIES, Counts, Minutes, chart, read_minutes

M = 30_000_000
"""A minute; a multiple of 60."""

COUNTS = st.builds(
    Counts,
    *[st.integers(0, 9)] * 4,
    start_delay=st.dictionaries(st.integers(2, 9), st.integers(1, 9)),
    run=st.dictionaries(st.integers(2, 9), st.integers(1, 9)),
)


def _named(
    queues: dict[str, Minutes], minutes: int = 60, name: str = ""
) -> dict[tuple[str, str | None], Counts]:
    return {(each.queue, each.name): each.total for each in chart(queues, minutes, name).series}


def test_a_queue_is_there_even_when_nothing_happened() -> None:
    found = chart({"mail": {}, "default": {}}, 60)
    assert [(each.queue, each.name, each.total, each.points) for each in found.series] == [
        ("default", None, Counts(), {}),
        ("mail", None, Counts(), {}),
    ]
    assert (found.step, found.omitted) == (1, 0)


def test_each_task_has_a_series_and_the_queue_their_sum() -> None:
    minutes: Minutes = {
        M: {"a": Counts(1, 0, 0, 0, {2: 1}, {5: 1}), "b": Counts(0, 2, 0, 0, {2: 1, 3: 1}, {5: 2})},
        M + 1: {"b": Counts(3)},
    }
    found = chart({"default": minutes}, 60).series
    assert [(each.name, each.total) for each in found] == [
        (None, Counts(4, 2, 0, 0, {2: 2, 3: 1}, {5: 3})),
        ("b", Counts(3, 2, 0, 0, {2: 1, 3: 1}, {5: 2})),
        ("a", Counts(1, 0, 0, 0, {2: 1}, {5: 1})),
    ]
    assert found[0].points == {M: Counts(1, 2, 0, 0, {2: 2, 3: 1}, {5: 3}), M + 1: Counts(3)}
    assert list(found[2].points) == [M]


def test_a_task_of_two_queues_has_two_series() -> None:
    assert set(_named({"x": {M: {"a": Counts(1)}}, "y": {M: {"a": Counts(2)}}})) == {
        ("x", None),
        ("x", "a"),
        ("y", None),
        ("y", "a"),
    }


def test_one_task_alone_comes_without_its_queue() -> None:
    minutes: Minutes = {M: {"a": Counts(1), "b": Counts(2)}}
    assert _named({"default": minutes}, name="a") == {("default", "a"): Counts(1)}
    assert _named({"default": minutes}, name="nosuch") == {}


@given(
    st.dictionaries(
        st.integers(M, M + 200), st.dictionaries(st.sampled_from("abc"), COUNTS, min_size=1), max_size=20
    )
)
def test_points_add_up_to_totals_and_tasks_to_their_queue(minutes: dict[int, dict[str, Counts]]) -> None:
    def sums(counts: list[Counts]) -> tuple[int, ...]:
        return (
            sum(each.ended for each in counts),
            sum(sum(each.start_delay.values()) for each in counts),
            sum(sum(each.run.values()) for each in counts),
        )

    everything, *tasks = chart({"default": minutes}, MINUTES).series
    assert sums([everything.total]) == sums([each.total for each in tasks])
    for series in (everything, *tasks):
        assert sums(list(series.points.values())) == sums([series.total])


def test_where_points_would_be_too_many_each_stands_for_more_minutes() -> None:
    of_all = {M + minute: {f"t{n}": Counts(1) for n in range(30)} for minute in range(MINUTES)}
    found = chart({"default": of_all}, MINUTES)
    assert found.step == 10
    assert sum(len(each.points) for each in found.series) <= MOST_POINTS
    assert found.series[0].points[M] == Counts(300)
    assert all(first % 10 == 0 for first in found.series[0].points)
    assert chart({"default": of_all}, MINUTES, "t1").step == 1


def test_of_many_tasks_the_busiest_are_shown_and_all_are_counted() -> None:
    minutes = {M: {f"t{n}": Counts(n + 1) for n in range(MOST_SERIES + 5)}}
    found = chart({"default": minutes}, 60)
    assert (found.omitted, len(found.series)) == (5, MOST_SERIES + 1)
    assert found.series[1].name == f"t{MOST_SERIES + 4}"
    assert found.series[0].total.ended == sum(range(1, MOST_SERIES + 6))


@pytest.mark.parametrize("size", [4, 5])
def test_a_minute_is_read_as_it_is_stored_and_what_it_lacks_is_nothing(size: int) -> None:
    packed = msgspec.msgpack.encode({"a": [1, 2, 3, 4, {2: 7}, {}][:size]})
    assert read_minutes({M: packed}) == {M: {"a": Counts(1, 2, 3, 4, {2: 7} if size > 4 else {})}}
