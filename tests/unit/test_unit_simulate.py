"""`bide scaling simulate`, as an operator runs it."""

from __future__ import annotations

import html.parser
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bide.simulation.catalogue import RULES
from bide.simulation.plot import nice
from bide_client import cli

ROOT = Path(__file__).parents[2]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """An hour with a burst in it."""
    file = tmp_path / "arrivals.csv"
    rows = [f"{minute * 60},{90 if minute == 30 else 10}" for minute in range(60)]
    file.write_text("\n".join(["timestamp,arrivals", *rows]), encoding="utf-8")
    return file


class Command:
    """The `bide` command in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: object) -> tuple[int, str, str]:
        """Exit code, output, complaints."""
        try:
            code = cli.main(["scaling", "simulate", *map(str, words)])
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = self._capsys.readouterr()
        return code, out, err

    def document(self, *words: object) -> Any:
        code, out, err = self(*words, "--json")
        assert (code, err) == (0, "")
        assert out.count("\n") == 1
        return json.loads(out)


@pytest.fixture
def simulate(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def test_it_tells_delays_worker_seconds_cold_starts_and_hand_overs(simulate: Command, trace: Path) -> None:
    code, out, err = simulate(trace, "--concurrency", 10)
    assert (code, err) == (0, "")
    told = dict(re.split(r"  +", line, maxsplit=1) for line in out.splitlines() if "  " in line)
    assert re.fullmatch(r"p50 0 s, p99 0\.5 s, max 0\.5 s; \d+\.\d% of the tasks waited", told["start delay"])
    assert re.fullmatch(r"[\d,]+, 1\.0\d\dx the bound of [\d,]+ \(.*\)", told["worker-seconds"])
    assert int(told["cold starts"]) > 1
    assert "tasks moved" in told["hand-overs"]


def test_costs_are_printed_with_their_source(simulate: Command, trace: Path) -> None:
    _, out, _ = simulate(trace)
    assert "0.5 s (assumed)" in out
    assert re.search(r"0\.12 ms \(measured on .* by `python -m bench --only scaling`", out)
    _, out, _ = simulate(trace, "--cold-start", 0.25, "--move-ms", 1)
    assert "0.25 s (as told)" in out
    assert "1 ms (as told)" in out
    assert "35 ms (measured on" in out


def test_json_is_one_document(simulate: Command, trace: Path) -> None:
    found = simulate.document(trace, "--concurrency", 10)
    assert found["tasks"]["count"] == 59 * 10 + 90
    assert found["delay"]["p50"] <= found["delay"]["p99"] <= found["delay"]["max"] <= 0.5 + 1e-6
    assert found["over_bound"] == pytest.approx(found["worker_seconds"] / found["bound"])
    assert found["moved"] > 0


def test_json_may_stand_before_the_verb(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--json", "scaling", "simulate", str(trace)]) == 0
    assert json.loads(capsys.readouterr().out)["cold_starts"] > 0


def test_the_same_seed_gives_the_same_and_another_does_not(simulate: Command, trace: Path) -> None:
    first = simulate.document(trace, "--seed", 7)
    assert simulate.document(trace, "--seed", 7) == first
    assert simulate.document(trace, "--seed", 8)["worker_seconds"] != first["worker_seconds"]


@pytest.mark.parametrize("rule", RULES)
def test_it_runs_every_rule(simulate: Command, trace: Path, rule: str) -> None:
    found = simulate.document(trace, "--rule", rule, "--concurrency", 10)
    assert found["rule"]["name"] == rule
    assert found["worker_seconds"] > 0


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--from", "30m"], 29 * 10 + 90),
        (["--hours", "0.5"], 300),
        (["--from", "1740", "--hours", "0.03"], 100),
    ],
)
def test_a_part_of_the_trace_can_be_taken(
    simulate: Command, trace: Path, options: Sequence[str], count: int
) -> None:
    assert simulate.document(trace, *options)["tasks"]["count"] == count


@pytest.mark.parametrize(
    ("options", "makes"),
    [
        (["--no-parking"], lambda there, here: here["moved"] == 0 < there["moved"]),
        (["--min", "3"], lambda there, here: here["worker_seconds"] > there["worker_seconds"]),
        (["--max", "2"], lambda there, here: here["delay"]["max"] > there["delay"]["max"]),
        (["--life", "120"], lambda there, here: here["handed_over"] > there["handed_over"]),
        (["--cold-start", "3"], lambda there, here: here["delay"]["max"] == pytest.approx(3)),
        (["--hold", "6"], lambda there, here: here["bound"] < there["bound"]),
        (["--scale", "3"], lambda there, here: here["bound"] > there["bound"]),
        (["--idle", "60"], lambda there, here: here["worker_seconds"] > there["worker_seconds"]),
    ],
)
def test_each_option_changes_what_it_says(
    simulate: Command, trace: Path, options: Sequence[str], makes: Any
) -> None:
    there = simulate.document(trace, "--concurrency", 10)
    assert makes(there, simulate.document(trace, "--concurrency", 10, *options))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("timestamp,arrivals\n0,1\n60,lots\n", "line 3: 'lots' is no number of arrivals: a whole number"),
        ("when,what\nnever,1\n", "line 2: 'never' is no timestamp: expected `timestamp,arrivals`"),
        ("", "it holds no arrivals"),
        ("0,0\n60,0\n", "no arrival is left"),
    ],
)
def test_a_bad_file_is_told_its_line(simulate: Command, tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(content, encoding="utf-8")
    code, out, err = simulate(file)
    assert (code, out) == (2, "")
    assert err.startswith("bide: ")
    assert complaint in err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--rule", "guess"], "invalid choice: 'guess'"),
        (["--concurrency", "0"], "'0' is no whole number from 1"),
        (["--hold", "0"], "'0' is no number above 0"),
        (["--cold-start", "-1"], "--cold-start"),
        (["--from", "soon"], "'soon' is no time such as 90, 15m, 6h or 3d"),
        (["--from", "2h"], "the trace ends 0.983 h after its start"),
        (["--min", "3", "--max", "2"], "--max (2) must not be below --min (3)"),
        (["--plot", "plot.png"], "'plot.png' does not end in .html"),
    ],
)
def test_a_bad_option_is_told(simulate: Command, trace: Path, options: Sequence[str], complaint: str) -> None:
    code, out, err = simulate(trace, *options)
    assert (code, out) == (2, "")
    assert complaint in err


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Ten times the arrivals that can be simulated, in ten hours."""
    file = tmp_path / "large.csv"
    file.write_text("".join(f"{hour * 3600},5000000\n" for hour in range(10)), encoding="utf-8")
    return file


def test_more_arrivals_than_can_be_simulated_are_refused_with_options_that_help(
    simulate: Command, large: Path
) -> None:
    code, _, err = simulate(large)
    assert code == 2
    assert "50,000,000 arrivals" in err
    assert "at most 5,000,000" in err
    assert "--hours" in err
    assert "--scale 0.1" in err


@pytest.mark.parametrize("options", [("--scale", "0.0001"), ("--hours", "1", "--scale", "0.001")])
def test_arrivals_are_counted_after_the_options_that_leave_some_out(
    simulate: Command, large: Path, options: Sequence[str]
) -> None:
    code, out, _ = simulate(large, *options, "--json")
    assert code == 0
    assert json.loads(out)["tasks"]["count"] == pytest.approx(5_000, rel=0.1)


def test_what_cannot_be_read_or_written_is_told(simulate: Command, trace: Path, tmp_path: Path) -> None:
    code, _, err = simulate(tmp_path / "none.csv")
    assert (code, "cannot read" in err) == (2, True)
    code, out, err = simulate(trace, "--plot", tmp_path / "no" / "plot.html")
    assert (code, out, "cannot write" in err) == (2, "", True)


class _Tags(html.parser.HTMLParser):
    """Opens and closes; what a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.kinds: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.references += [str(value) for name, value in attributes if name in ("src", "href")]
        self.kinds += [str(value) for name, value in attributes if name == "class"]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.kinds += [str(value) for name, value in attributes if name == "class"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_plot_is_a_page_that_needs_nothing_else(simulate: Command, trace: Path, tmp_path: Path) -> None:
    plot = tmp_path / "plot.html"
    code, out, _ = simulate(trace, "--plot", plot, "--concurrency", 10)
    assert code == 0
    assert out.splitlines()[-1].split() == ["plot", str(plot)]
    text = plot.read_text(encoding="utf-8")
    tags = _Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.references == []
    assert "url(" not in text
    assert "prefers-color-scheme: dark" in text
    assert {"line tasks", "line workers", "line bound", "line late"} <= set(tags.kinds)
    assert tags.kinds.count("span") == 480
    assert re.search(
        r"<title>0:30:\d\d: [\d.]+ arrivals a minute, [\d.]+ tasks, [\d.]+ workers, bound [\d.]+", text
    )


def test_a_file_name_cannot_speak_in_the_page(simulate: Command, trace: Path, tmp_path: Path) -> None:
    odd = trace.rename(tmp_path / "<script>alert(1)<.csv")
    plot = tmp_path / "plot.html"
    assert simulate(odd, "--plot", plot)[0] == 0
    assert "<script" not in plot.read_text(encoding="utf-8")


def test_one_arrival_a_row_and_a_single_task(simulate: Command, tmp_path: Path) -> None:
    file = tmp_path / "one.csv"
    file.write_text("2026-01-31T12:00:00\n", encoding="utf-8")
    found = simulate.document(file, "--hold", 10, "--hold-cv", 0, "--plot", tmp_path / "one.html")
    assert found["worker_seconds"] == pytest.approx(0.5 + 10 + 2 + 0.035)
    assert found["cold_starts"] == 1


def test_steps_of_an_axis_are_round() -> None:
    drawn = random.Random(1)
    for _ in range(200):
        least = 10 ** drawn.uniform(-3, 5)
        step = nice(least)
        assert least <= step * (1 + 1e-9) <= least * 2.5 * (1 + 1e-6)
        assert f"{step:.0e}"[0] in "125"


def test_it_needs_neither_the_store_nor_aws() -> None:
    """So that the client's installation, with msgspec, is enough."""
    code = (
        "import sys, bide.operate.simulate;"
        "print(*{name.partition('.')[0] for name in sys.modules} & {'redis', 'boto3', 'chalice', 'numpy'})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert ran.stdout.strip() == ""
