"""docs/scaling.md shows what the simulation gives, and the goals are kept."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from bench import comparison
from bench.comparison import NO_PARKING, PAGE, SCENARIOS, TRACES, Result
from bench.scaling import LONGEST_DELAY_S, OVER_BOUND, thresholds
from bench.table import NoMarkers
from bide.autoscaler import Departure, Reason
from bide.simulation import catalogue
from bide.simulation.catalogue import RULES
from bide_client import cli
from local.children import ROOT


@cache
def found() -> dict[tuple[str, str], Result]:
    """By trace and rule."""
    rules = (catalogue.PRODUCT, NO_PARKING, *(name for name in RULES if name != catalogue.PRODUCT))
    results = [result for scenario in SCENARIOS for result in comparison.results(rules, scenario)]
    return {(result.scenario, result.rule): result for result in results}


def test_with_parking_the_goals_are_kept_and_the_page_says_so() -> None:
    """One test, so that all of it is simulated once."""
    for scenario in SCENARIOS:
        delay, over = thresholds(found()[scenario, catalogue.PRODUCT])
        assert delay <= LONGEST_DELAY_S, scenario
        assert over <= OVER_BOUND, scenario
        # What other rules need, so that the goals mean something.
        assert 1.13 <= found()[scenario, "first-fit"].over_bound <= 1.65, scenario
        assert found()[scenario, NO_PARKING].over_bound > 1.3, scenario
        hirefire = found()[scenario, "hirefire"]
        assert 15 <= hirefire.outcome.delay(0.99) <= 60, scenario
        assert 1.05 <= hirefire.over_bound <= 1.65, scenario
    page = PAGE.read_text(encoding="utf-8")
    made = comparison.with_tables(page, comparison.tables(found().values()))
    assert made == page, "run `python -m bench.comparison`"


def test_the_example_on_the_page_prints_what_it_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    block = re.search(
        r"```console\n\$ bide (.*?)\n((?!      ).*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    assert block is not None
    command, printed = block[1].partition("\n      ")[0::2], block[2]
    words = shlex.split(" ".join(command).replace("\\", ""))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bench").symlink_to(TRACES.parent)
    assert cli.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    expected = [line for line in printed.splitlines() if line != "..."]
    assert len(expected) == 3
    assert set(expected) <= set(lines)


def test_the_page_lists_every_reason_that_is_recorded() -> None:
    listed = re.findall(r"^\| `([a-z ]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    scripts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "bide" / "lua").glob("*.lua"))
    of_scripts = set(re.findall(r"summon\(now_ms, '([a-z ]+)'", scripts))
    assert of_scripts, "this test no longer recognises a reason"
    assert sorted(listed) == sorted({*of_scripts, *Departure, *Reason} - {Reason.NONE})


def test_every_trace_has_its_source_and_licence() -> None:
    told = (TRACES / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in TRACES.glob("*.csv")}
    assert {scenario.file for scenario in SCENARIOS.values()} == files
    rows = {name: next(row for row in told.splitlines() if f"`{name}`" in row) for name in files}
    for row in rows.values():
        assert "CC-BY 4.0" in row or "[MIT](LICENSE-NAB.txt)" in row
    assert "Permission is hereby granted" in (TRACES / "LICENSE-NAB.txt").read_text(encoding="utf-8")


def test_a_page_without_a_place_for_the_tables_is_refused() -> None:
    with pytest.raises(NoMarkers, match="scaling:begin"):
        comparison.with_tables("# Scaling\n", "")
