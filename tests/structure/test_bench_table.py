"""README's table of results is the one that the latest report makes."""

from __future__ import annotations

import msgspec
import pytest

from bench import report, table
from bench.__main__ import BENCHMARKS
from bench.line import Line, at_most
from bench.table import NoMarkers, with_table


def test_readme_shows_the_latest_report() -> None:
    readme = table.README.read_text(encoding="utf-8")
    assert with_table(readme, report.load()) == readme, "run `python -m bench.table`"


def test_the_latest_report_is_of_a_full_run() -> None:
    latest = report.load()
    assert not latest.quick
    assert {line.benchmark for line in latest.lines} == set(BENCHMARKS)


def test_the_table_names_what_was_missed() -> None:
    slow = Line("http", "submit, p50", 7.5, "ms", at_most(4))
    latest = msgspec.structs.replace(report.load(), lines=(slow,))
    row = next(row for row in table.table(latest).splitlines() if "submit, p50" in row)
    assert row == "| http: submit, p50 | ≤ 4 ms | 7.5 ms | **missed** |"


def test_a_readme_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(NoMarkers, match="bench:begin"):
        with_table("# Bide\n", report.load())


def test_only_what_stands_between_the_markers_changes() -> None:
    before = "above <!-- bench:begin -->OUTDATED<!-- bench:end --> below <!-- other -->"
    after = with_table(before, report.load())
    assert after.startswith("above <!-- bench:begin -->\n|")
    assert after.endswith("<!-- bench:end --> below <!-- other -->")
    assert "OUTDATED" not in after


def test_systems_that_are_compared_get_a_table_of_their_own() -> None:
    lines = (
        Line("peers", "wall", 10.9, "s", of="Bide"),
        Line("peers", "CPU", 1.2, "s", of="Bide"),
        Line("peers", "wall", 3521.0, "s", note="extrapolated: 128 of 10,000", of="Other"),
    )
    rows = table.table(msgspec.structs.replace(report.load(), lines=lines)).splitlines()
    assert rows[3] == "| peers | wall | CPU |"
    assert rows[5:7] == ["| Bide | 10.9 s | 1.2 s |", "| Other | ~3,521 s |  |"]


def test_each_comparison_has_its_own_table_with_verdicts_and_bounds() -> None:
    lines = (
        Line("peers", "wall", 10.9, "s", of="Bide"),
        Line("classic", "answer, p99", 5.1, "ms", at_most(50), of="Bide"),
        Line("classic", "answer, p99", 60_009.0, "ms", note="at least: nobody had one", of="Other"),
        Line("classic", "probe, p99", 71.0, "ms", at_most(50), of="Bide"),
    )
    rows = table.table(msgspec.structs.replace(report.load(), lines=lines)).splitlines()
    assert rows[3:6] == ["| peers | wall |", "|---|---|", "| Bide | 10.9 s |"]
    assert rows[7] == "| classic | answer, p99 | probe, p99 |"
    assert rows[9:11] == ["| Bide | 5.1 ms ✓ | 71 ms **missed** |", "| Other | ≥ 60,009 ms |  |"]
