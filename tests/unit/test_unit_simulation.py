"""The simulation: it agrees with another, and keeps to what it models."""

from __future__ import annotations

import csv
import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.autoscaler import Limits
from bide.simulation import catalogue, known
from bide.simulation.bound import bound, first_fit
from bide.simulation.catalogue import RULES, Setup
from bide.simulation.fleet import Costs, Fleet, Rule
from bide.simulation.invocations import Invocations
from bide.simulation.outcome import Outcome, percentile
from bide.simulation.product import Life
from bide.simulation.series import means, series
from bide.simulation.workload import Workload

GIVEN = Path(__file__).with_name("arrivals_and_holds.csv")
PLACES = 10


def spike() -> Workload:
    """Two hours with a spike in them, as two columns of seconds."""
    with GIVEN.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return Workload([float(row[0]) for row in rows], [float(row[1]) for row in rows])


TASKS = spike()

# What another simulator of the same rules, written apart from this one and on numpy, makes of the
# same file with ten places a worker: start delay p50, p99 and max, worker-seconds, starts, peak.
THE_OTHERS: dict[str, tuple[float, float, float, float, int, int]] = {
    "Fixed": (0.000, 0.000, 0.000, 74386.3, 10, 10),
    "HireFire": (0.000, 28.340, 38.990, 19661.0, 36, 10),
    "HireFireLatency": (20.705, 179.631, 183.300, 17460.9, 31, 10),
    "Judoscale": (0.000, 50.657, 54.580, 46312.4, 15, 12),
    "Keda": (0.000, 6.446, 13.750, 23532.3, 12, 9),
    "Knative": (0.000, 0.000, 3.720, 24515.5, 51, 13),
    "TargetTracking": (0.000, 107.913, 116.810, 70364.9, 17, 16),
    "AzureTarget": (0.000, 6.553, 9.670, 21278.1, 82, 11),
    "CloudRun": (0.000, 0.000, 4.010, 43556.4, 18, 15),
    "IdleExit": (0.000, 0.500, 0.500, 21100.0, 47, 10),
}
COLD_STARTS = {"Judoscale": 30.0}
INVOCATIONS = {
    (10, 0.0): (0.000, 0.500, 0.500, 142745.8, 118, 95),
    (10, 5.0): (3.770, 5.463, 5.500, 65772.8, 27, 22),
    (1, 0.0): (0.000, 0.500, 0.500, 142745.8, 118, 95),
}
BOUND = (17614.92, 95, 10)
FIRST_FIT = (20435.74, 33, 10)


def agrees(outcome: Outcome, expected: tuple[float, float, float, float, int, int]) -> None:
    found = (
        outcome.delay(0.5), outcome.delay(0.99), outcome.delay(1),
        outcome.worker_seconds, outcome.starts, outcome.peak,
    )  # fmt: skip
    assert found == pytest.approx(expected, rel=0.01, abs=0.001)


@pytest.mark.parametrize("name", THE_OTHERS)
def test_a_known_rule_does_what_another_simulator_says(name: str) -> None:
    rule: Rule = known.Fixed(BOUND[2]) if name == "Fixed" else getattr(known, name)()
    costs = Costs(COLD_STARTS.get(name, 0.5))
    agrees(Fleet(TASKS, PLACES, costs, rule).run(), THE_OTHERS[name])


@pytest.mark.parametrize(("batch", "window"), INVOCATIONS)
def test_a_queue_that_invokes_does_what_another_simulator_says(batch: int, window: float) -> None:
    agrees(Invocations(TASKS, 0.5, batch, window).run(), INVOCATIONS[batch, window])


def test_the_bound_and_the_ideal_packing_are_what_another_simulator_says() -> None:
    assert tuple(bound(TASKS, PLACES)) == pytest.approx(BOUND)
    packed = first_fit(TASKS, PLACES)
    assert (packed.worker_seconds, packed.starts, packed.peak) == pytest.approx(FIRST_FIT)


# --- the product's rule -----------------------------------------------------------------------


def product(
    tasks: Workload, *, limits: Limits | None = None, parking: bool = True, **other: object
) -> Outcome:
    setup = Setup(limits or Limits(0, 1000, PLACES), parking=parking)._replace(**other)
    return RULES[catalogue.PRODUCT].run(tasks, setup)


def durations(outcome: Outcome) -> list[tuple[int, float]]:
    """How many workers there were, and for how long."""
    return [(size, later - at) for (at, size), (later, _) in pairwise(outcome.sizes)]


def test_with_parking_the_product_comes_near_the_bound() -> None:
    outcome = product(TASKS)
    assert outcome.worker_seconds <= 1.10 * BOUND[0]
    assert outcome.delay(1) <= 0.5 + 1e-6
    assert outcome.moved > 0
    assert outcome.worker_seconds < first_fit(TASKS, PLACES).worker_seconds


def test_without_parking_no_task_moves_and_it_costs_more() -> None:
    outcome = product(TASKS, parking=False)
    assert (outcome.moved, outcome.handed_over) == (0, 0)
    assert outcome.worker_seconds > first_fit(TASKS, PLACES).worker_seconds


def test_a_lone_task_costs_its_hold_a_cold_start_and_the_linger() -> None:
    outcome = product(Workload([5.0], [60.0]), costs=Costs(0.5, 0.1, 0.1), life=Life(2.0, 840.0))
    assert list(outcome.delays) == [0.5]
    assert outcome.worker_seconds == pytest.approx(0.5 + 60 + 2)
    assert (outcome.starts, outcome.peak, outcome.moved) == (1, 1, 0)


def test_a_spare_worker_pays_for_parking_and_the_other_for_resuming() -> None:
    """Twelve tasks need two workers of ten places; eight short ones end, and four fit on one."""
    tasks = Workload([0.0] * 12, [10.0] * 8 + [100.0] * 4)
    outcome = product(tasks, costs=Costs(0.5, park=0.25, resume=0.5, leave=0.1))
    assert outcome.delay(1) == 0.5
    assert (outcome.starts, outcome.handed_over) == (2, 1)
    # Started at 0, both take tasks at 0.5: ten and two. At 10.5 eight end, and the one with two leaves: it
    # is billed for parking both and for leaving. The other resumes them in turn; the later is done last.
    assert outcome.moved == 2
    leaves = 10.5 + 2 * 0.25 + 0.1
    last_end = leaves + 2 * 0.5 + (100.5 - 10.5)
    assert outcome.longest_move == pytest.approx(2 * 0.25 + 0.1 + 2 * 0.5)
    assert outcome.worker_seconds == pytest.approx(leaves + last_end + 2 + 0.1)


def test_a_worker_at_the_end_of_its_life_hands_over_to_a_successor() -> None:
    outcome = product(Workload([0.0], [100.0]), costs=Costs(0.5), life=Life(2.0, 40.0))
    assert (outcome.starts, outcome.handed_over, outcome.moved) == (3, 2, 2)
    assert outcome.longest_move == pytest.approx(0.5), "the task waits for the successor's cold start"
    assert outcome.worker_seconds == pytest.approx(3 * 0.5 + 100 + 2)


def test_the_maximum_is_never_exceeded_and_the_minimum_kept() -> None:
    limits = Limits(minimum=2, maximum=5, concurrency=PLACES)
    outcome = product(TASKS, limits=limits, costs=Costs(0.5))
    lasted = durations(outcome)
    assert sum(seconds for size, seconds in lasted if size > 5) == 0
    assert sum(seconds for size, seconds in lasted if size < 2) == 0
    assert outcome.delay(0.99) > 10


def test_a_start_that_never_ends_is_repeated_after_ten_seconds() -> None:
    outcome = product(Workload([0.0, 5.0, 11.0], [1.0] * 3), costs=Costs(30.0))
    assert outcome.starts == 2


@pytest.mark.parametrize("name", RULES)
def test_every_rule_of_the_catalogue_finishes_every_task(name: str) -> None:
    outcome = RULES[name].run(TASKS, Setup(Limits(0, 1000, PLACES)))
    assert len(outcome.delays) == len(TASKS.arrivals)
    assert min(outcome.delays) >= 0
    work = sum(TASKS.holds) / PLACES
    assert outcome.worker_seconds >= work
    if name != "hirefire-latency":  # which makes tasks wait so long that it needs fewer workers
        assert outcome.worker_seconds >= BOUND[0]


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 8), st.booleans(),
    st.sampled_from([0.0, 0.5, 4.0, 12.0]), st.sampled_from([0.0, 0.01, 0.7]), st.integers(0, 3),
)  # fmt: skip
def test_whatever_comes_every_task_is_done_and_every_second_billed(
    seed: int, count: int, places: int, parking: bool, cold: float, move: float, minimum: int
) -> None:
    drawn = random.Random(seed)
    arrivals = sorted(drawn.uniform(0, 120) for _ in range(count))
    tasks = Workload(arrivals, [drawn.expovariate(1 / 20) for _ in range(count)])
    setup = Setup(Limits(minimum, 50, places), Costs(cold, move, move, move), Life(2.0, 30.0), parking, 1.0)
    outcome = RULES[catalogue.PRODUCT].run(tasks, setup)
    assert min(outcome.delays) >= 0
    assert outcome.worker_seconds >= sum(tasks.holds) / places - 1e-6
    if minimum == 0:
        lived = sum(size * seconds for size, seconds in durations(outcome))
        assert lived == pytest.approx(outcome.worker_seconds), "the drawn sizes are the billed ones"
        assert outcome.sizes[-1][1] == 0, "all have left"


# --- numbers ----------------------------------------------------------------------------------


def test_a_percentile_lies_between_its_neighbours() -> None:
    assert percentile([0.0, 1.0, 2.0, 3.0], 0.5) == 1.5
    assert percentile([0.0, 10.0], 0.99) == pytest.approx(9.9)
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([], 0.99) == 0.0


def test_the_bound_is_the_least_for_no_delay() -> None:
    tasks = Workload([0.0, 1.0, 2.0], [10.0, 10.0, 2.0])
    assert bound(tasks, 2) == (13.0, 3, 2)


def test_means_spread_a_value_over_the_spans_that_it_lasts() -> None:
    assert means([(0.5, 2), (2.5, 4), (3.0, 0)], 1.0, 4) == pytest.approx([1.0, 2.0, 3.0, 0.0])


def test_a_series_adds_up_to_what_was_billed() -> None:
    outcome = product(TASKS)
    data = series(TASKS, outcome, PLACES, 200)
    assert sum(data.workers) * data.span == pytest.approx(outcome.worker_seconds)
    assert sum(data.bound) * data.span == pytest.approx(BOUND[0])
    assert sum(data.arrivals) * data.span / 60 == pytest.approx(len(TASKS.arrivals))
    assert max(data.delay) == outcome.delay(1)
