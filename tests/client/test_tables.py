"""What people read: durations, aligned tables, and no control characters."""

from __future__ import annotations

import pytest

from bide_client import render, table
from bide_client.printable import one_line
from bide_client.screen import Plain
from bide_client.table import Column, Marked, Table


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (None, ""),
        (0, "0 ms"),
        (0.4, "0.4 ms"),
        (9.96, "10.0 ms"),
        (850, "850 ms"),
        (1000, "1.0 s"),
        (12_340, "12.3 s"),
        (59_940, "59.9 s"),
        (59_960, "1 min"),
        (250_000, "4 min 10 s"),
        (3_600_000, "1 h"),
        (11_100_000, "3 h 5 min"),
        (187_200_000, "2 d 4 h"),
    ],
)
def test_a_duration_has_about_three_digits(ms: float | None, shown: str) -> None:
    assert render.span(ms) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0.0"), (0.0167, "0.017"), (0.5, "0.5"), (1, "1.0"), (12.34, "12.3"), (12345.6, "12,345.6")],
)
def test_a_rate_is_never_rounded_to_nothing(number: float, shown: str) -> None:
    assert render.rate(number) == shown


def shown(found: Table) -> list[str]:
    return table.lines(found, table.widths([found]))


def test_columns_are_aligned_and_numbers_to_the_right() -> None:
    found = Table((Column("queue"), Column("ready", right=True), Column("note")), title="Queues")
    found.add("default", "3", "busy")
    found.add("m", "12,000", "")
    assert shown(found) == [
        "Queues",
        "queue     ready  note",
        "default       3  busy",
        "m        12,000",
    ]


def test_wide_and_combining_characters_are_counted_as_they_are_shown() -> None:
    found = Table((Column("name"), Column("x")))
    found.add("任务", "1")
    found.add("Ko\u0308ln", "2")
    assert shown(found) == ["name  x", "任务  1", "Ko\u0308ln  2"]


def test_a_cell_is_one_line_and_says_nothing_to_the_terminal() -> None:
    found = Table((Column("message"), Column("x")))
    found.add(Marked("a\nb\tc \x1b[2J\r\u202e", "failed"), "y")
    assert shown(found)[1] == "a b c \\u001b[2J\\u000d\\u202e  y"


def test_a_lone_return_is_spelt_out() -> None:
    assert one_line("good\rbad") == "good\\u000dbad"


def test_rows_that_come_later_may_widen_a_column_and_never_narrow_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def part(*names: str) -> Table:
        found = Table((Column("name"), Column("x")))
        for name in names:
            found.add(name, "1")
        return found

    with Plain().rows() as add:
        add(part(), 1)
        add(part("four"), 2)
        add(part("sevenxx"), 3)
        add(part("a"), 4)
    assert capsys.readouterr().out.splitlines() == ["name  x", "four  1", "sevenxx  1", "a        1"]


def test_blocks_are_shown_below_each_other_without_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = Table((Column("x"),))
    found.add("1")
    with Plain().view() as draw:
        draw(["head \x1b[2J", "", found, Marked("\x07", "done")])
    assert capsys.readouterr().out == "head \\u001b[2J\n\nx\n1\n\\u0007\n"


@pytest.mark.parametrize(
    ("wide", "room", "shown"),
    [
        ([3, 4, 5], 16, [[0, 1, 2]]),
        ([3, 4, 5], 15, [[0, 1], [2]]),
        ([3, 4, 5, 4], 15, [[0, 1], [2, 3]]),
        ([3, 4, 6, 4], 15, [[0, 1], [2], [3]]),
        ([20, 3], 15, [[0], [1]]),
        ([3, 20], 15, [[0], [1]]),
        ([3], 15, [[0]]),
    ],
)
def test_a_row_has_as_many_lines_as_its_columns_take(
    wide: list[int], room: int, shown: list[list[int]]
) -> None:
    assert [list(lane) for lane in table.lanes(wide, room)] == shown
