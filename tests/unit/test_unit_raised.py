"""Exceptions that outlive their process."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import msgspec
import pytest

from bide import Reject, StepFailed
from bide.worker.raised import Raised, describe, restore


class NoSuchPage(Exception):
    """Takes more than it keeps."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(url, status)
        self.url = url


class Stubborn(Exception):
    def __init__(self) -> None:
        raise AssertionError("restoring runs no code of the exception's")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def there_and_back(error: BaseException) -> Exception:
    """As the journal keeps it: JSON in between."""
    return restore(msgspec.json.decode(msgspec.json.encode(describe(error)), type=Raised))


@pytest.mark.parametrize(
    "error", [ValueError("no"), KeyError("a", 1), OSError(2, "No such file"), Reject("no such region")]
)
def test_an_exception_comes_back_as_its_type_with_its_arguments(error: Exception) -> None:
    back = there_and_back(error)
    assert type(back) is type(error)
    assert (back.args, str(back)) == (error.args, str(error))


def test_an_exception_of_the_tasks_own_comes_back_without_its_init() -> None:
    back = there_and_back(NoSuchPage("/a", 404))
    assert type(back) is NoSuchPage
    assert back.args == ("/a", 404)
    assert type(restore(Raised(f"{__name__}:Stubborn", "no", ()))) is Stubborn


@pytest.mark.parametrize(
    "kind", ["gone:Error", f"{__name__}:Gone", f"{__name__}:there_and_back", "builtins:int", "", ":", "os:"]
)
def test_an_exception_whose_type_is_gone_comes_back_as_step_failed(kind: str) -> None:
    back = restore(Raised(kind, "what it said"))
    assert isinstance(back, StepFailed)
    assert "what it said" in str(back)


def test_a_record_imports_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "ran"
    source = f"open({str(ran)!r}, 'w').close()\nclass Error(Exception): ..."
    (tmp_path / "never_imported_here.py").write_text(source)
    lazy = f"def __getattr__(name):\n    open({str(ran)!r}, 'w').close()\n    return ValueError"
    (tmp_path / "lazy_here.py").write_text(lazy)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("lazy_here")
    for kind in ("never_imported_here:Error", "lazy_here:Error"):
        assert isinstance(restore(Raised(kind, "no")), StepFailed)
    assert not ran.exists()
    assert "never_imported_here" not in sys.modules


class Outer:
    class Inner(Exception): ...


def test_an_exception_class_inside_of_another_comes_back_as_itself() -> None:
    assert type(there_and_back(Outer.Inner("no"))) is Outer.Inner


@pytest.mark.parametrize("kind", ["builtins:SystemExit", "builtins:KeyboardInterrupt"])
def test_what_ends_a_process_never_comes_back_as_itself(kind: str) -> None:
    assert isinstance(restore(Raised(kind, "1")), StepFailed)


def test_arguments_that_json_cannot_hold_leave_the_message() -> None:
    back = there_and_back(ValueError("see", object))
    assert type(back) is ValueError
    assert back.args[0].startswith("('see', <class")


def test_an_exception_that_cannot_be_shown_is_kept_all_the_same() -> None:
    assert type(there_and_back(Mute(object()))) is Mute


def test_a_message_is_kept_within_bounds_and_as_json_can_hold_it() -> None:
    raised = describe(ValueError("caf\ud800é " + "x" * 100_000))
    assert len(raised.message) == 2_000
    assert raised.message.startswith("caf?é")
    assert len(json.dumps(raised.message)) < 3_000
