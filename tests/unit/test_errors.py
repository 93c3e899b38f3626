"""The error tree."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator

import pytest

from bide import errors
from bide.errors import (
    BideError,
    Closed,
    InvalidArguments,
    RateLimited,
    RetryAfter,
    SettingsError,
    TaskFinished,
    UnknownQueue,
    UnknownTask,
)


def tree(root: type[BideError] = BideError) -> Iterator[type[BideError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


EVERY = sorted(tree(), key=lambda error: error.__name__)


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [error.__dict__.get("code") for error in EVERY]
    assert None not in codes
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[A-Z]+(_[A-Z]+)*", str(code)) for code in codes)


@pytest.mark.parametrize("error", EVERY, ids=lambda error: error.__name__)
def test_the_docstring_is_the_default_message(error: type[BideError]) -> None:
    assert inspect.getdoc(error)
    if "__init__" not in error.__dict__:
        assert error().message == str(error()) == inspect.getdoc(error)
        assert error("in other words").message == "in other words"


@pytest.mark.parametrize("error", [error for error in EVERY if error.__subclasses__() == []])
def test_the_tree_in_the_module_shows_every_error_with_its_code(error: type[BideError]) -> None:
    assert re.search(rf"── {error.__name__} +{error.code}$", errors.__doc__ or "", re.MULTILINE)


def test_a_closed_server_gives_the_reason() -> None:
    error = Closed("maintenance", 30)
    assert (error.reason, error.retry_after) == ("maintenance", 30)
    assert error.message == "The server is closed for submissions: maintenance"
    assert Closed().message == "The server is closed for submissions."


def test_settings_problems_are_listed_together() -> None:
    error = SettingsError(["one", "two"])
    assert error.problems == ("one", "two")
    assert error.message.splitlines()[1:] == ["  - one", "  - two"]


def test_an_unknown_task_comes_with_the_nearest_name() -> None:
    assert UnknownTask("ecko", "echo").message == "No task named 'ecko' is registered. Did you mean 'echo'?"
    assert UnknownTask("xyz").message == "No task named 'xyz' is registered."


def test_an_unknown_queue_comes_with_the_known_ones() -> None:
    assert "known queues: default, mail" in UnknownQueue("male", ["default", "mail"]).message


def test_the_details_of_a_refusal_are_kept() -> None:
    assert RateLimited(250).retry_after_ms == 250
    assert "it is failed" in TaskFinished("failed").message
    assert InvalidArguments("no", "/url").pointer == "/url"


def test_retry_after_says_when() -> None:
    assert RetryAfter(90).seconds == 90
    assert "90 s" in RetryAfter(90).message
    assert RetryAfter(90, "busy").message == "busy"


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, 366 * 86400])
def test_retry_after_refuses_what_is_no_delay(seconds: float) -> None:
    with pytest.raises(ValueError, match="0 to 365 days"):
        RetryAfter(seconds)
