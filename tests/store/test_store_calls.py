"""Many slots asked at once: each answers for itself, and what one refuses is raised."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from submissions import Submit, submission

from bide.errors import NotUnique, ScriptError
from bide.reads import Reads
from bide.replies import Accepted
from bide.store import Store

Corrupt = Callable[[str, str], None]


@pytest.fixture
def corrupt(store: Store) -> Corrupt:
    """Puts a list where a slot has a hash."""

    def put(slot: str, name: str) -> None:
        (key,) = store.keys.slot(slot, (name,))
        store.command("DEL", key)
        store.command("RPUSH", key, "no hash")

    return put


def test_no_slots_are_asked_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.client, "pipeline", lambda *_: pytest.fail("asked"))
    assert store.each_slot("depth", ()) == {}
    assert store.fields_of_slots("stats", ()) == {}


def test_a_slot_that_is_named_twice_is_asked_once(store: Store, submit: Submit) -> None:
    submit()
    assert list(Reads(store).depths(["default", "other", "default"])) == ["default", "other"]


def test_what_one_script_refuses_is_raised_for_all(store: Store, submit: Submit, corrupt: Corrupt) -> None:
    submit()
    corrupt("other", "stats")
    with pytest.raises(ScriptError, match="WRONGTYPE"):
        Reads(store).depths(["default", "other"])
    assert Reads(store).depths(["default"])["default"].left == 1


def test_what_one_command_is_refused_is_raised_for_all(
    store: Store, submit: Submit, corrupt: Corrupt
) -> None:
    submit()
    corrupt("other", "stats")
    with pytest.raises(ScriptError, match="WRONGTYPE"):
        Reads(store).tally(["other"])


def test_what_one_submission_is_refused_stands_in_its_place_alone(store: Store) -> None:
    wanted = [submission(queue=queue, unique="u") for queue in ("default", "other", "default", "third")]
    answers = store.submit_all(wanted)
    assert [type(answer) for answer in answers] == [Accepted, Accepted, NotUnique, Accepted]
    assert [answer.id.slot for answer in answers if isinstance(answer, Accepted)] == [
        "default",
        "other",
        "third",
    ]
