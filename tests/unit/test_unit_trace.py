"""Arrivals files: what is read from them, and what is said of those that cannot be."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bide.simulation.trace import Trace, TraceError, parse, read
from bide.simulation.workload import Workload, workload


def drawn(
    trace: Trace, *, scale: float = 1.0, mean: float = 60.0, cv: float = 0.5, seed: int = 1
) -> Workload:
    return workload(trace, scale=scale, mean=mean, cv=cv, seed=seed)


def test_rows_of_counts_are_times_since_the_first_and_arrivals() -> None:
    found = parse(
        ["timestamp,arrivals", "2026-01-31T23:59:00,3", "2026-02-01T00:00:00,0", "2026-02-01T00:02,5"]
    )
    assert found == Trace(((0.0, 3), (60.0, 0), (180.0, 5)), gap=90.0)


def test_rows_of_one_column_are_one_arrival_each() -> None:
    tasks = drawn(parse(["10.5", "12", "12", "20.25"]))
    assert tasks.arrivals == [0.0, 1.5, 1.5, 9.75]


@pytest.mark.parametrize("stamp", ["2026-01-31T12:00:00Z", "2026-01-31 12:00", "1769860800.0", "17", "1.5e3"])
def test_a_timestamp_is_a_number_or_a_date(stamp: str) -> None:
    assert parse([f"{stamp},1"]).rows == ((0.0, 1),)


def test_zones_are_heeded() -> None:
    assert parse(["2026-01-31T12:00:00+01:00,1", "2026-01-31T12:00:00Z,1"]).rows[1][0] == 3600


def test_blank_lines_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_bytes(b"\xef\xbb\xbf0,1\r\n\r\n60,2\r\n")
    assert read(file).rows == ((0.0, 1), (60.0, 2))


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "holds no arrivals: expected `timestamp,arrivals`"),
        (["timestamp,arrivals"], "holds no arrivals"),
        (["a,b", "c,d"], "line 2: 'c' is no timestamp: expected"),
        (["0,1", "soon,2"], "line 2: 'soon' is no timestamp"),
        (["t,n", "0,1", "60,many"], "line 3: 'many' is no number of arrivals: a whole number"),
        (["0,1", "60,-2"], "line 2: '-2' is no number of arrivals"),
        (["0,1", "60,2.5"], "line 2: '2.5' is no number of arrivals"),
        (["0,1", "60,"], "line 2: '' is no number of arrivals"),
        (["0,1", "", "60,2", "30,1"], "line 4: '30' lies before the row above; sort the rows"),
        (["0,1", "60"], "line 2: 1 columns after rows of 2"),
        (["0,1,2"], "line 1: 3 columns: expected"),
        (["nan,1"], "holds no arrivals"),
    ],
)
def test_a_bad_file_is_told_its_line_and_what_is_expected(lines: list[str], complaint: str) -> None:
    with pytest.raises(TraceError) as refused:
        parse(lines)
    assert complaint in str(refused.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01", b'0,1\n"60,2\n' + b"x" * 200_000])
def test_what_is_no_text_or_no_csv_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "trace.csv"
    file.write_bytes(content)
    with pytest.raises(TraceError, match="this is no"):
        read(file)


def test_a_part_begins_at_zero_and_an_empty_one_is_refused() -> None:
    trace = parse(["0,1", "3600,2", "7200,3"])
    assert trace.part(3600, 3600).rows == ((0.0, 2),)
    with pytest.raises(TraceError, match="the trace ends 2 h after its start"):
        trace.part(9000)


def test_arrivals_lie_within_their_row_in_order() -> None:
    tasks = drawn(parse(["0,50", "60,0", "120,50"]))
    assert list(tasks.arrivals) == sorted(tasks.arrivals)
    assert all(at < 60 for at in tasks.arrivals[:50])
    assert all(120 <= at < 180 for at in tasks.arrivals[50:])


def test_the_same_seed_draws_the_same_tasks() -> None:
    trace = parse(["0,50", "60,50"])
    assert drawn(trace, scale=2.5) == drawn(trace, scale=2.5)
    assert drawn(trace, seed=2) != drawn(trace)


@pytest.mark.parametrize("scale", [0.25, 1.0, 3.0])
def test_a_scale_multiplies_the_arrivals(scale: float) -> None:
    count = len(drawn(parse(["0,4000"]), scale=scale).arrivals)
    assert abs(count - 4000 * scale) <= 5 * math.sqrt(4000 * scale)


def test_a_share_of_a_thousand_million_arrivals_is_drawn_without_looking_at_each() -> None:
    count = len(drawn(parse(["0,999999999"]), scale=1e-6).arrivals)
    assert abs(count - 1000) <= 5 * math.sqrt(1000)


def test_holds_have_the_mean_and_the_spread_that_are_asked_for() -> None:
    holds = drawn(parse(["0,20000"]), mean=60.0, cv=0.5).holds
    mean = sum(holds) / len(holds)
    deviation = math.sqrt(sum((hold - mean) ** 2 for hold in holds) / len(holds))
    assert mean == pytest.approx(60, rel=0.03)
    assert deviation / mean == pytest.approx(0.5, rel=0.05)
    assert set(drawn(parse(["0,3"]), cv=0).holds) == {60.0}
