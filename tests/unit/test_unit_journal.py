"""The journal: entries under paths, met again in their order."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.errors import CodeChanged, JournalFull
from bide.worker.journal import (
    MAX_BYTES,
    MAX_ENTRIES,
    MAX_ENTRY_BYTES,
    Cursor,
    Entry,
    Journal,
    JournalEnd,
    Status,
    digest_of,
)


def done(path: str, value: str = "1", digest: str = "d") -> Entry:
    return Entry(path, digest, Status.DONE, value)


def packed(*entries: Entry) -> tuple[bytes, ...]:
    return tuple(msgspec.msgpack.encode(entry) for entry in entries)


# --- writing ----------------------------------------------------------------------------------


def test_entries_are_numbered_from_one_and_written_once() -> None:
    journal = Journal()
    first, second = done("a#1"), done("b#1")
    assert (journal.append(first), journal.append(second)) == (1, 2)
    assert [(at, msgspec.msgpack.decode(raw, type=Entry), event) for at, raw, event in journal.unsaved()] == [
        (1, first, 0),
        (2, second, 0),
    ]
    assert journal.unsaved() == []
    assert len(journal) == 2


def test_an_entry_that_is_replaced_is_written_again_with_the_event_it_has_read() -> None:
    journal = Journal(packed(done("a#1"), Entry("event.go#1", "d", Status.OPEN)))
    journal.replace(2, done("event.go#1", '"came"'), event=7)
    ((at, raw, event),) = journal.unsaved()
    assert (at, event) == (2, 7)
    assert msgspec.msgpack.decode(raw, type=Entry).value == '"came"'
    assert journal.entry(2).status is Status.DONE


def test_an_entry_replaced_before_it_was_written_is_written_once() -> None:
    journal = Journal()
    position = journal.append(Entry("sleep#1", "d", Status.OPEN, until_ms=5))
    journal.replace(position, done("sleep#1", ""))
    assert len(journal.unsaved()) == 1


def test_what_was_read_is_what_was_written() -> None:
    entry = Entry("gather#1.0/check#2", "0" * 16, Status.OPEN, "", 9_999, 77, 3, 2)
    assert Journal(packed(entry)).entry(1) == entry


def test_a_journal_tells_the_version_that_it_began_with() -> None:
    assert Journal().version is None
    assert Journal(packed(done("a#1"))).version == 0
    journal = Journal()
    journal.begin(12)
    again = Journal(tuple(raw for _, raw, _ in journal.unsaved()))
    assert again.version == 12


# --- limits -----------------------------------------------------------------------------------


def test_a_journal_holds_so_many_entries() -> None:
    journal = Journal()
    for number in range(MAX_ENTRIES):
        journal.append(done(f"a#{number}"))
    with pytest.raises(JournalFull, match=r"last#1 would be entry 1,001 .* holds 1,000"):
        journal.append(done("last#1"))
    journal.replace(MAX_ENTRIES, done("a#1"))


def test_an_entry_holds_so_many_bytes() -> None:
    journal = Journal()
    journal.append(done("fits#1", "x" * MAX_ENTRY_BYTES))
    with pytest.raises(JournalFull, match=r"big#1 gave 65,537 bytes"):
        journal.append(done("big#1", "x" * (MAX_ENTRY_BYTES + 1)))
    with pytest.raises(JournalFull, match=r"wide#1 gave 65,538 bytes"):
        journal.append(done("wide#1", "ü" * (MAX_ENTRY_BYTES // 2 + 1)))
    assert len(journal) == 1


def test_a_journal_holds_so_many_bytes_however_it_was_filled() -> None:
    journal = Journal()
    for _ in range(4):
        journal.append(done("a#1", "x" * 65_400))
    with pytest.raises(JournalFull, match=r"With b#1 the journal would hold 2\d\d,\d\d\d bytes"):
        journal.append(done("b#1", "x" * 5_000))
    room = MAX_BYTES - sum(len(raw) for _, raw, _ in journal.unsaved())
    journal.append(done("c#1", "x" * (room - 50)))
    with pytest.raises(JournalFull, match="With a#1 the journal would hold"):
        journal.replace(1, done("a#1", "x" * MAX_ENTRY_BYTES))
    journal.replace(1, done("a#1", "x"))
    journal.append(done("b#1", "x" * 65_000))


# --- meeting ----------------------------------------------------------------------------------


def test_a_branch_meets_its_entries_in_order_and_then_new_ground() -> None:
    journal = Journal(packed(done("a#1"), done("gather#1.0/a#1"), done("a#2")))
    root, branch = Cursor(journal), Cursor(journal, "gather#1.0")
    assert root.meet("a", "d")[:2] == ("a#1", 1)
    assert branch.meet("a", "d")[:2] == ("gather#1.0/a#1", 2)
    assert root.upcoming == "a#2"
    assert root.meet("a", "d")[:2] == ("a#2", 3)
    assert root.upcoming is None
    assert root.meet("b", "d") == ("b#1", 0, None)
    assert branch.meet("a", "d") == ("gather#1.0/a#2", 0, None)
    root.finish()


@pytest.mark.parametrize(
    ("name", "digest", "words"),
    [
        ("b", "d", "the journal holds a#1 with arguments d, the code came to b#1 with arguments d"),
        ("a", "e", "the journal holds a#1 with arguments d, the code came to a#1 with arguments e"),
    ],
)
def test_another_operation_or_other_arguments_are_other_code(name: str, digest: str, words: str) -> None:
    with pytest.raises(CodeChanged) as caught:
        Cursor(Journal(packed(done("a#1")))).meet(name, digest)
    assert words in caught.value.message


def test_code_that_ends_before_its_journal_is_other_code() -> None:
    cursor = Cursor(Journal(packed(done("a#1"))))
    with pytest.raises(CodeChanged, match=r"the journal holds a#1 .* the code came to the end"):
        cursor.finish()


def test_a_check_ends_where_the_journal_does() -> None:
    journal = Journal(packed(done("a#1")), replay_only=True)
    cursor = Cursor(journal)
    cursor.meet("a", "d")
    with pytest.raises(JournalEnd):
        cursor.meet("b", "d")


BRANCHES = ("", "gather#1.0", "gather#1.1", "gather#1.1/first#1.0")


@given(
    asked=st.lists(st.tuples(st.sampled_from(BRANCHES), st.sampled_from("abc"), st.text(max_size=3))),
    seed=st.integers(),
)
def test_what_branches_wrote_in_any_order_is_met_in_any_other(
    asked: list[tuple[str, str, str]], seed: int
) -> None:
    written = Journal()
    cursors = {branch: Cursor(written, branch) for branch in BRANCHES}
    for branch, name, value in asked:
        path, _, entry = cursors[branch].meet(name, digest_of(name, value))
        assert entry is None
        written.append(done(path, value, digest_of(name, value)))
    read = Journal(tuple(raw for _, raw, _ in written.unsaved()))
    cursors = {branch: Cursor(read, branch) for branch in BRANCHES}
    queues = {branch: [each for each in asked if each[0] == branch] for branch in BRANCHES}
    dice = random.Random(seed)
    while left := [branch for branch in BRANCHES if queues[branch]]:
        branch, name, value = queues[dice.choice(left)].pop(0)
        _, _, entry = cursors[branch].meet(name, digest_of(name, value))
        assert entry is not None
        assert entry.value == value
    for cursor in cursors.values():
        cursor.finish()


# --- digests ----------------------------------------------------------------------------------


class Client:
    """An argument that JSON cannot hold."""


@pytest.mark.parametrize(
    ("one", "other"),
    [((1,), (2,)), ((1,), ("1",)), ((1, 2), ([1, 2],)), ((), (None,)), (({"a": 1},), ({"a": 2},))],
)
def test_other_arguments_have_another_digest(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert digest_of("step", *one) != digest_of("step", *other)
    assert digest_of("step", *one) != digest_of("poll", *one)


def test_the_order_of_an_objects_keys_changes_no_digest() -> None:
    assert digest_of("step", {"a": 1, "b": 2}) == digest_of("step", {"b": 2, "a": 1})


def test_what_json_cannot_hold_counts_by_its_type() -> None:
    assert digest_of("step", Client(), 1) == digest_of("step", Client(), 1)
    assert digest_of("step", Client()) != digest_of("step", object())
    assert digest_of("step", Client(), 1) != digest_of("step", Client(), 2)
    assert digest_of("step", print) == digest_of("step", print)


def test_arguments_that_contain_themselves_count_by_their_type() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert digest_of("step", endless) == digest_of("step", endless)


def test_digests_are_the_same_in_every_process() -> None:
    program = "from bide.worker.journal import digest_of; print(digest_of('step', {'b': 1, 'a': {2}}, 'ä'))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == digest_of("step", {"b": 1, "a": {2}}, "ä")
    assert len(run.stdout.strip()) == 16


@pytest.mark.parametrize("elements", [{"one", "two", "three", "four"}, frozenset("abcdefgh")])
def test_digests_of_sets_do_not_hang_on_hash_seeds(elements: Any) -> None:
    program = f"from bide.worker.journal import digest_of; print(digest_of('step', {elements!r}))"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in range(4)
    }  # fmt: skip
    assert len(digests) == 1
