"""What real workers report of their tasks, minute by minute."""

from __future__ import annotations

import pytest
from stage import Stage

from bide.series import Counts, chart, read_minutes


def counted(stage: Stage) -> dict[str | None, Counts]:
    """What tasks of each name did in the last minutes; under None all together."""
    minutes = read_minutes(stage.reads.series(["default"], 5)["default"])
    return {series.name: series.total for series in chart({"default": minutes}, 5).series}


def test_starts_ends_and_durations_count_under_the_names_of_the_tasks(stage: Stage) -> None:
    stage.start_worker()
    for number in (1, 2):
        stage.until(stage.submit("succeed", name=str(number)))
    stage.until(stage.submit("reject", name="3"))
    found = counted(stage)
    assert set(found) == {None, "succeed", "reject"}
    ends = {name: (counts.succeeded, counts.failed) for name, counts in found.items()}
    assert ends == {None: (2, 1), "succeed": (2, 0), "reject": (0, 1)}
    for counts in found.values():
        assert sum(counts.start_delay.values()) == sum(counts.run.values()) == counts.ended


def test_a_task_is_shown_with_the_durations_of_those_before_it(stage: Stage) -> None:
    stage.start_worker()
    stage.until(stage.submit("doze", name="a", seconds=0.05))
    (took_ms,) = stage.view(stage.submit("doze", name="b", seconds=0.5)).recent
    assert took_ms >= 50


@pytest.mark.parametrize("records", [True, False])
def test_series_are_left_out_where_nothing_is_recorded(stage: Stage, records: bool) -> None:
    stage.start_worker(records=records)
    stage.until(stage.submit("succeed", name="a"))
    assert counted(stage)[None].succeeded == records
    assert stage.reads.totals().succeeded == 1
