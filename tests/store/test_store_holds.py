"""lua/hold.lua: the places for requests that are held open."""

from __future__ import annotations

from hand_clock import HandClock

from bide.store import Store


def _held(store: Store) -> int:
    return store.command("ZCARD", store.keys.server(("waits",))[0])


def test_as_many_are_held_as_the_budget_allows(store: Store) -> None:
    assert [store.hold(name, 1_000, 2) for name in "abc"] == [True, True, False]
    assert _held(store) == 2


def test_a_released_place_is_free_again(store: Store) -> None:
    store.hold("a", 1_000, 1)
    store.release_hold("a")
    assert store.hold("b", 1_000, 1)


def test_releasing_twice_frees_one_place(store: Store) -> None:
    store.hold("a", 1_000, 2)
    store.hold("b", 1_000, 2)
    store.release_hold("a")
    store.release_hold("a")
    assert [store.hold(name, 1_000, 2) for name in "cd"] == [True, False]


def test_a_place_is_free_when_its_time_is_over(store: Store, clock: HandClock) -> None:
    store.hold("a", 1_000, 1)
    clock.pass_ms(999)
    assert not store.hold("b", 1_000, 1)
    clock.pass_ms(1)
    assert store.hold("b", 1_000, 1)
    assert _held(store) == 1


def test_the_same_hold_again_takes_no_second_place_and_is_not_refused(store: Store) -> None:
    assert [store.hold("a", 1_000, 1) for _ in range(3)] == [True] * 3
    assert _held(store) == 1


def test_no_budget_holds_nothing(store: Store) -> None:
    assert not store.hold("a", 1_000, 0)
    assert _held(store) == 0
