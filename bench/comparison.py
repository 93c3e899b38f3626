"""Bide's autoscaler beside other rules, on three traces: the tables in docs/scaling.md.

`python -m bench.comparison` writes them; it takes some ten seconds.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from bench.table import NoMarkers
from bide.autoscaler import Limits
from bide.simulation import catalogue
from bide.simulation.bound import Bound, bound
from bide.simulation.catalogue import RULES, Setup
from bide.simulation.outcome import Outcome
from bide.simulation.trace import read
from bide.simulation.workload import Workload, workload
from local.children import ROOT

TRACES: Final = Path(__file__).with_name("traces")
PAGE: Final = ROOT / "docs" / "scaling.md"

HOLD_S: Final = 60.0
HOLD_CV: Final = 0.5
SEED: Final = 1

NO_PARKING: Final = "bide, no parking"

_BEGIN: Final = "<!-- scaling:begin -->"
_END: Final = "<!-- scaling:end -->"
_MARKED: Final = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)


class Scenario(NamedTuple):
    """A part of a trace, and the workers' places."""

    file: str
    concurrency: int
    scale: float = 1.0
    start_h: float = 0.0
    hours: float = math.inf

    def tasks(self) -> Workload:
        part = read(TRACES / self.file).part(self.start_h * 3600, self.hours * 3600)
        return workload(part, scale=self.scale, mean=HOLD_S, cv=HOLD_CV, seed=SEED)


SCENARIOS: Final[dict[str, Scenario]] = {
    "llm": Scenario("azure_llm_code_2023_per_second.csv", 20),
    "elb": Scenario("nab_aws_elb_2014_per_5min.csv", 10, start_h=72, hours=48),
    "tweets": Scenario("nab_tweets_GOOG_2015_per_5min.csv", 20, scale=5, start_h=240, hours=48),
}


class Result(NamedTuple):
    """One rule on one trace."""

    scenario: str
    rule: str
    outcome: Outcome
    least: Bound

    @property
    def over_bound(self) -> float:
        return self.outcome.worker_seconds / self.least.worker_seconds


def results(rules: Iterable[str], scenario: str) -> Iterator[Result]:
    """A trace by each of these rules: names of the catalogue, or NO_PARKING."""
    told = SCENARIOS[scenario]
    tasks = told.tasks()
    least = bound(tasks, told.concurrency)
    for name in rules:
        setup = Setup(Limits(0, catalogue.MOST_WORKERS, told.concurrency), parking=name != NO_PARKING)
        rule = RULES[catalogue.PRODUCT if name == NO_PARKING else name]
        yield Result(scenario, name, rule.run(tasks, setup), least)


def tables(found: Iterable[Result]) -> str:
    """The comparison of all rules in Markdown, and the details of the product's own."""
    by_rule: dict[str, list[Result]] = {}
    for result in found:
        by_rule.setdefault(result.rule, []).append(result)
    heads = [f"{name}: delay, p99 | worker-s" for name in SCENARIOS]
    rows = [f"| rule | {' | '.join(heads)} |", "|---" + "|--:" * (2 * len(SCENARIOS)) + "|"]
    for rule, of_rule in by_rule.items():
        cells = [f"{_seconds(each.outcome.delay(0.99))} | {each.over_bound:.2f}x" for each in of_rule]
        rows.append(f"| {_title(rule)} | {' | '.join(cells)} |")
    return "\n".join([*rows, "", *_details(by_rule)])


def _details(by_rule: dict[str, list[Result]]) -> Iterator[str]:
    """A column for each trace."""
    own = by_rule[catalogue.PRODUCT]
    yield f"| Bide, with parking | {' | '.join(each.scenario for each in own)} |"
    yield "|---" + "|--:" * len(own) + "|"
    told = {
        "tasks": [f"{len(each.outcome.delays):,}" for each in own],
        "at once, at most": [f"{each.least.most_running:,}" for each in own],
        "places of a worker": [str(SCENARIOS[each.scenario].concurrency) for each in own],
        "start delay, p50": [_seconds(each.outcome.delay(0.5)) for each in own],
        "start delay, p99": [_seconds(each.outcome.delay(0.99)) for each in own],
        "start delay, most": [_seconds(each.outcome.delay(1)) for each in own],
        "tasks that waited": [f"{_delayed(each.outcome):.1%}" for each in own],
        "worker-seconds": [f"{each.outcome.worker_seconds:,.0f}" for each in own],
        "the bound": [f"{each.least.worker_seconds:,.0f}" for each in own],
        "over it": [f"{each.over_bound:.3f}x" for each in own],
        "workers, at most": [f"{each.outcome.peak} (bound {each.least.peak})" for each in own],
        "cold starts": [f"{each.outcome.starts:,}" for each in own],
        "workers that handed over": [f"{each.outcome.handed_over:,}" for each in own],
        "tasks moved": [f"{each.outcome.moved:,}" for each in own],
    }
    for name, cells in told.items():
        yield f"| {name} | {' | '.join(cells)} |"


def _title(rule: str) -> str:
    if rule == catalogue.PRODUCT:
        return "**Bide**"
    return "Bide, parking off" if rule == NO_PARKING else RULES[rule].title


def _seconds(value: float) -> str:
    return f"{value:.0f} s" if value >= 99.5 else f"{value:.1f} s" if value >= 0.95 else f"{value:.2f} s"


def _delayed(outcome: Outcome) -> float:
    return sum(delay > 0 for delay in outcome.delays) / len(outcome.delays)


def everything() -> str:
    """All rules on all traces."""
    names = list(RULES)
    rules = [names[0], NO_PARKING, *names[1:]]
    return tables(result for scenario in SCENARIOS for result in results(rules, scenario))


def with_tables(document: str, made: str) -> str:
    """The document with the tables between its markers. Raises NoMarkers."""
    if not _MARKED.search(document):
        raise NoMarkers(f"no place for the tables: add {_BEGIN} and {_END}")
    return _MARKED.sub(lambda _: f"{_BEGIN}\n{made}\n{_END}", document, count=1)


def main() -> int:
    try:
        PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), everything()), encoding="utf-8")
    except (NoMarkers, OSError) as error:
        print(f"{PAGE.name}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
