"""Ids: what they look like, and what is none."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.ids import TaskId, new_id, parse_id

slots = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)
keys = st.binary(min_size=16, max_size=16)
times = st.integers(0, 2**48 - 1)


@given(slots, keys)
def test_an_id_survives_being_written_and_read(slot: str, key: bytes) -> None:
    id = TaskId(slot, key)
    assert parse_id(str(id)) == id


@given(slots, keys)
def test_an_id_is_its_slot_a_tilde_and_26_characters(slot: str, key: bytes) -> None:
    head, _, tail = str(TaskId(slot, key)).rpartition("~")
    assert head == slot
    assert len(tail) == 26
    assert set(tail) <= set("0123456789abcdefghijklmnopqrstuv")


@given(st.lists(st.tuples(times, st.binary(min_size=10, max_size=10)), min_size=2))
def test_ids_sort_by_the_time_of_their_submission(drawn: list[tuple[int, bytes]]) -> None:
    ids = [new_id("default", now_ms, lambda _, noise=noise: noise) for now_ms, noise in drawn]
    assert [id.submitted_ms for id in sorted(ids, key=str)] == sorted(now_ms for now_ms, _ in drawn)


@given(keys, keys)
def test_text_and_bytes_sort_alike(one: bytes, other: bytes) -> None:
    assert (one < other) == (str(TaskId("q", one)) < str(TaskId("q", other)))


def test_an_id_carries_ten_random_bytes() -> None:
    asked: list[int] = []

    def noise(count: int) -> bytes:
        asked.append(count)
        return b"\xff" * count

    assert new_id("default", 1, noise).key == b"\0\0\0\0\0\1" + b"\xff" * 10
    assert asked == [10]


def test_only_the_canonical_spelling_is_an_id() -> None:
    """Five bits a character make 130 bits for 128: three spellings more of the same bytes are refused."""
    canonical = str(TaskId("default", b"\x01" * 16))
    last = "0123456789abcdefghijklmnopqrstuv".index(canonical[-1])
    others = [canonical[:-1] + "0123456789abcdefghijklmnopqrstuv"[last + n] for n in (1, 2, 3)]
    decoded = {base64.b32hexdecode(other[-26:].upper() + "======") for other in others}
    assert decoded == {b"\x01" * 16}, "they do spell the same bytes"
    assert [parse_id(other) for other in others] == [None, None, None]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "~",
        "default",
        "default~",
        "default~" + "0" * 25,
        "default~" + "0" * 27,
        "~" + "0" * 26,
        "Default~" + "0" * 26,
        "default~" + "A" * 26,
        "default~" + "w" * 26,
        "default~~" + "0" * 25,
        "de fault~" + "0" * 26,
        "default~" + "0" * 26 + "\n",
        " default~" + "0" * 26,
        "default~" + "0" * 25 + "\u0660",
        "d" * 65 + "~" + "0" * 26,
        "default}~" + "0" * 26,
        "default~" + "0" * 25 + "\x00",
        "default~" + "=" * 26,
    ],
)
def test_garbage_is_no_id(text: str) -> None:
    assert parse_id(text) is None


@given(st.text())
def test_whatever_parses_is_spelled_back_the_same(text: str) -> None:
    id = parse_id(text)
    assert id is None or str(id) == text
