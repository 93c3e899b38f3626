"""Task ids: their text and their bytes say the same, and sort the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bide.ids import OperationId, TaskId, new_id, parse_id, parse_operation_id

SLOTS = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)
KEYS = st.binary(min_size=16, max_size=16)
TIMES = st.integers(0, 2**48 - 1)
ALPHABET = "0123456789abcdefghijklmnopqrstuv"
ID = "default~" + "0" * 26


@given(SLOTS, KEYS)
def test_an_id_reads_back_from_its_text(slot: str, key: bytes) -> None:
    assert parse_id(str(TaskId(slot, key))) == TaskId(slot, key)


@given(SLOTS, KEYS)
def test_an_operations_id_reads_back_from_its_text_and_is_no_tasks(slot: str, key: bytes) -> None:
    text = str(OperationId(slot, key))
    assert re.fullmatch(re.escape(slot) + "~op-[0-9a-v]{26}", text)
    assert parse_operation_id(text) == OperationId(slot, key)
    assert parse_id(text) is None
    assert parse_operation_id(str(TaskId(slot, key))) is None


@given(SLOTS, KEYS)
def test_an_id_is_its_slot_and_26_characters_that_need_no_escaping(slot: str, key: bytes) -> None:
    assert re.fullmatch(re.escape(slot) + "~[0-9a-v]{26}", str(TaskId(slot, key)))


@given(KEYS, KEYS)
def test_texts_sort_like_bytes(one: bytes, other: bytes) -> None:
    texts = str(TaskId("q", one)), str(TaskId("q", other))
    assert (one < other) is (texts[0] < texts[1])


@given(TIMES, TIMES, KEYS, KEYS)
def test_a_later_id_sorts_after_an_earlier_one_whatever_its_random_bits(
    early: int, late: int, one: bytes, other: bytes
) -> None:
    assume(early < late)
    assert str(new_id("q", early, lambda n: one[:n])) < str(new_id("q", late, lambda n: other[:n]))


@given(TIMES, KEYS)
def test_an_id_tells_when_it_was_submitted(now_ms: int, noise: bytes) -> None:
    assert new_id("q", now_ms, lambda n: noise[:n]).submitted_ms == now_ms


def test_80_bits_of_an_id_are_random() -> None:
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return b"\xff" * count

    assert new_id("q", 0, random_bytes).key == bytes(6) + b"\xff" * 10
    assert asked == [10]


@given(st.text(max_size=100))
def test_any_text_is_an_id_or_none_and_never_an_error(text: str) -> None:
    parsed = parse_id(text)
    assert parsed is None or str(parsed) == text


@given(st.text(ALPHABET, min_size=26, max_size=26))
def test_no_two_texts_spell_one_id(text: str) -> None:
    parsed = parse_id(f"q~{text}")
    assert (parsed is not None) is (text[-1] in "048cgkos"), "the last character carries three bits"
    assert parsed is None or str(parsed) == f"q~{text}"


@pytest.mark.parametrize(
    "text",
    [
        "", "~", "default", "default~", "~" + "0" * 26, ID[:-1], ID + "0", ID.upper(), "Default~" + "0" * 26,
        ID[:-1] + "1", ID[:-1] + "w", ID + "\n", "\n" + ID, " " + ID, ID + "\0", "q.x~" + "0" * 26,
        "{q}~" + "0" * 26, "a" * 65 + "~" + "0" * 26, "ü~" + "0" * 26, "default~" + "٣" * 26,
        "default~default~" + "0" * 26, "\ud800~" + "0" * 26,
    ],
)  # fmt: skip
def test_garbage_is_no_id(text: str) -> None:
    assert parse_id(text) is None
