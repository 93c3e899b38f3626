"""The error tree: one place, stable codes, messages that need no second look."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import pytest

import bide.errors
from bide.errors import BideError, Closed, SettingsError, UnknownQueue, UnknownTask

_ROW = re.compile(r"^ {4}(?P<branches>[│├└─ ]*)(?P<name>[A-Z]\w+)(?: +(?P<code>[A-Z_]+|\(.*))?$")


def tree(error: type[BideError], depth: int = 0) -> Iterator[tuple[int, str, str]]:
    """Every class that is had from the module, below `error`, itself first: depth, name and code.

    Those of another module come last.
    """
    yield depth, error.__name__, error.code
    for below in sorted(error.__subclasses__(), key=lambda each: each.__module__ == "bide.task_control"):
        if vars(bide.errors).get(below.__name__) is below:
            yield from tree(below, depth + 1)


CLASSES = [
    found for found in vars(bide.errors).values() if inspect.isclass(found) and issubclass(found, BideError)
]


def needs_arguments(error: type[BideError]) -> bool:
    parameters = list(inspect.signature(error).parameters.values())
    return any(parameter.default is parameter.empty for parameter in parameters)


def test_every_code_is_unique() -> None:
    codes = [error.code for error in CLASSES]
    assert sorted(codes) == sorted(set(codes))


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_has_a_code_of_its_own(error: type[BideError]) -> None:
    assert "code" in vars(error)
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", error.code)


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn = []
    for line in (bide.errors.__doc__ or "").splitlines():
        row = _ROW.match(line)
        if row:
            drawn.append((len(row["branches"]) // 4, row["name"], row["code"]))
    actual = list(tree(BideError))
    assert [row[:2] for row in drawn] == [row[:2] for row in actual]
    for (_, name, shown), (_, _, code) in zip(drawn, actual, strict=True):
        assert shown is None or shown.startswith("(") or shown == code, name


def test_every_leaf_of_the_drawn_tree_shows_its_code() -> None:
    doc = bide.errors.__doc__ or ""
    for error in CLASSES:
        if not error.__subclasses__():
            assert re.search(rf"\b{error.__name__} +{error.code}\b", doc), error.__name__


@pytest.mark.parametrize("error", [error for error in CLASSES if not needs_arguments(error)])
def test_a_docstring_is_the_default_message(error: type[BideError]) -> None:
    assert str(error()) == error().message == inspect.getdoc(error)


@pytest.mark.parametrize("error", CLASSES)
def test_every_docstring_is_one_sentence_or_two_for_a_user(error: type[BideError]) -> None:
    doc = inspect.getdoc(error) or ""
    assert doc[:1].isupper()
    assert doc.endswith(".")
    assert "\n" not in doc


def test_a_message_given_replaces_the_default() -> None:
    assert str(bide.errors.TaskNotFound("It is gone.")) == "It is gone."


def test_all_problems_of_the_settings_stand_in_one_message() -> None:
    error = SettingsError(["A is wrong", "B is wrong"])
    assert error.problems == ("A is wrong", "B is wrong")
    assert str(error).splitlines() == ["The settings are wrong:", "  - A is wrong", "  - B is wrong"]


def test_a_closed_server_gives_its_reason() -> None:
    assert str(Closed("moving house", 60)).endswith("moving house")
    assert str(Closed()) == "The server is closed for submissions."


def test_an_unknown_task_is_answered_with_the_nearest_name() -> None:
    assert str(UnknownTask("ehco", "echo")) == "No task named 'ehco' is registered. Did you mean 'echo'?"
    assert str(UnknownTask("x")) == "No task named 'x' is registered."


def test_an_unknown_queue_is_answered_with_the_known_ones_and_how_to_add_it() -> None:
    message = str(UnknownQueue("fast", ["default", "slow"]))
    assert "default, slow" in message
    assert "BIDE_QUEUES" in message
