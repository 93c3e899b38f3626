"""Lists are read from the order of acceptance, in which the times need not be."""

from __future__ import annotations

from random import Random

import pytest
from hand_clock import HandClock, ManyClocks
from submissions import Submit

from bide.listing import NEWEST, Filter, Listing, Position
from bide.store import Store


def _listed(store: Store, slots: tuple[str, ...], size: int) -> list[str]:
    """The ids of every task, in the order of a list with pages of that size."""
    found: list[str] = []
    position: Position | None = dict.fromkeys(slots, NEWEST)
    for _ in range(1_000):
        if position is None:
            return found
        page = Listing(store).page("", Filter(), size, position)
        found += [view.id for view in page.tasks]
        position = page.next
    raise AssertionError("the list has no end")


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_task_is_listed_that_seems_older_than_those_before_it(
    submit: Submit, store: Store, clock: HandClock, size: int
) -> None:
    ids = []
    for passed_ms in (0, 3, -3, 1):
        clock.pass_ms(passed_ms)
        ids.append(str(submit()))
    assert _listed(store, ("default",), size) == ids[::-1]


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_every_task_is_listed_once_whatever_clocks_say(submit: Submit, store: Store, size: int) -> None:
    clock = store.clock = ManyClocks(50, Random(size))
    slots = ("default", "here", "there")
    for slot in slots:
        store.register(slot)
    ids = []
    for n in range(150):
        clock.pass_ms(n % 4)
        ids.append(str(submit(queue=slots[n * 7 % 3])))
    assert sorted(_listed(store, slots, size)) == sorted(ids)
