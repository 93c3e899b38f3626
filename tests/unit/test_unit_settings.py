"""Settings: one reader, all problems at once, no secret shown, one documented table."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.errors import SettingsError
from bide.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
VARIABLES = [setting.metadata["variable"] for setting in fields(Settings)]
DIGEST = "0123456789abcdef" * 4


def read(**variables: str) -> Settings:
    return Settings.from_environ(variables)


def problems(**variables: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        read(**variables)
    return caught.value.problems


def rows_of_the_page() -> list[tuple[str, str, str]]:
    """Variable, default and meaning of each row of the page's first table."""
    table = PAGE.split("| --- | --- | --- |")[1].split("\n\n")[0]
    return [tuple(re.split(r" \| ", row.strip("| "), maxsplit=2)) for row in table.splitlines() if row]  # type: ignore[misc]


def as_written(value: Any) -> str:
    """A default as the page writes it."""
    if value in ("", (), None):
        return "unset"
    if isinstance(value, tuple):
        value = ",".join(value)
    if isinstance(value, bool):
        value = int(value)
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def test_nothing_set_gives_the_defaults() -> None:
    assert read() == Settings()


def test_an_empty_variable_counts_as_unset() -> None:
    assert read(BIDE_CONCURRENCY="", BIDE_TASKS=" ") == Settings()


def test_variables_of_others_are_left_alone() -> None:
    assert read(BIDE_URL="nonsense", BIDE_KEY="k", PATH="/bin") == Settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().prefix = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("variable", "raw", "name", "value"),
    [
        (
            "BIDE_REDIS_URL",
            "rediss://user:p%40ss@host:6380/1",
            "redis_url",
            "rediss://user:p%40ss@host:6380/1",
        ),
        ("BIDE_REDIS_URL", "unix:///run/valkey.sock", "redis_url", "unix:///run/valkey.sock"),
        ("BIDE_TASKS", "workers.tasks, mine", "tasks", ("workers.tasks", "mine")),
        ("BIDE_QUEUES", "mail,,video_hd ", "queues", ("mail", "video_hd")),
        (
            "BIDE_API_KEY_HASHES",
            f"{DIGEST},acme={DIGEST}",
            "api_key_hashes",
            (("default", DIGEST), ("acme", DIGEST)),
        ),
        ("BIDE_OPERATOR_KEY_HASHES", f"ops={DIGEST}", "operator_key_hashes", (("ops", DIGEST),)),
        ("BIDE_LOCAL", "Yes", "local", True),
        ("BIDE_LOCAL", "off", "local", False),
        ("BIDE_CONCURRENCY", " 7 ", "concurrency", 7),
        ("BIDE_WORKERS_MIN", "0", "workers_min", 0),
        ("BIDE_LEASE_SECONDS", "0.5", "lease_seconds", 0.5),
        ("BIDE_DRAIN_FUNCTION", "bide-dev-drain", "drain_function", "bide-dev-drain"),
        ("BIDE_WAKE_QUEUE", "bide_dev-Wake", "wake_queue", "bide_dev-Wake"),
        ("BIDE_WAKE_STREAM", "bide.wake", "wake_stream", "bide.wake"),
        ("BIDE_RECORDS", "off", "records", False),
        ("BIDE_TASK_LOG_LEVEL", "debug", "task_log_level", "DEBUG"),
        ("BIDE_LOG_LEVEL", "WARNING", "log_level", "WARNING"),
    ],
)
def test_a_variable_is_read_as_its_setting(variable: str, raw: str, name: str, value: object) -> None:
    assert getattr(read(**{variable: raw}), name) == value


def test_processes_log_json_except_in_quick_mode_unless_told_otherwise() -> None:
    assert read().logs_json
    assert not read(BIDE_LOCAL="1").logs_json
    assert read(BIDE_LOCAL="1", BIDE_LOG_FORMAT="json").logs_json
    assert not read(BIDE_LOG_FORMAT="text").logs_json


@pytest.mark.parametrize(
    ("variable", "raw"),
    [
        ("BIDE_REDIS_URL", "localhost:6379"), ("BIDE_REDIS_URL", "http://host"), ("BIDE_REDIS_URL", "redis://"),
        ("BIDE_PREFIX", "a b"), ("BIDE_PREFIX", "a:{b}"), ("BIDE_PREFIX", "x" * 65),
        ("BIDE_TASKS", ","), ("BIDE_TASKS", "my tasks"), ("BIDE_TASKS", "../tasks"), ("BIDE_TASKS", "a..b"),
        ("BIDE_QUEUES", "Mail"), ("BIDE_QUEUES", "a,b.c"),
        ("BIDE_API_KEY_HASHES", "secret"), ("BIDE_API_KEY_HASHES", DIGEST[:-1]),
        ("BIDE_API_KEY_HASHES", "A=" + DIGEST), ("BIDE_OPERATOR_KEY_HASHES", "secret"),
        ("BIDE_LOCAL", "maybe"),
        ("BIDE_CONCURRENCY", "0"), ("BIDE_CONCURRENCY", "1e3"), ("BIDE_CONCURRENCY", "-1"),
        ("BIDE_CONCURRENCY", "9" * 99),
        ("BIDE_LEASE_SECONDS", "0.1"), ("BIDE_LEASE_SECONDS", "nan"), ("BIDE_LEASE_SECONDS", "inf"),
        ("BIDE_LEASE_SECONDS", "20s"), ("BIDE_RATE_LIMIT", "1.5"), ("BIDE_WAIT_SLOTS", "ten"),
        ("BIDE_WAKE", "lambda"), ("BIDE_WAKE_QUEUE", "wake.fifo"), ("BIDE_WAKE_QUEUE", "x" * 81),
        ("BIDE_DRAIN_FUNCTION", "a:b"), ("BIDE_WAKE_STREAM", "a b"), ("BIDE_WORKER_SECONDS", "0"),
        ("BIDE_RECORDS", "some"), ("BIDE_LOG_LEVEL", "loud"), ("BIDE_TASK_LOG_LEVEL", "20"),
        ("BIDE_LOG_FORMAT", "xml"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_a_problem_that_names_its_variable(variable: str, raw: str) -> None:
    (problem,) = problems(**{variable: raw})
    assert problem.startswith(f"{variable} ")


@given(
    st.sampled_from(VARIABLES), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=80)
)
def test_any_value_is_read_or_reported(variable: str, raw: str) -> None:
    reported: tuple[str, ...] = ()
    try:
        read(**{variable: raw})
    except SettingsError as error:
        reported = error.problems
    assert {problem.split()[0] for problem in reported} <= {
        variable, "BIDE_WORKERS_MAX", "BIDE_DRAIN_FUNCTION", "BIDE_WAKE_QUEUE", "BIDE_WAKE_STREAM",
    }  # fmt: skip


def test_all_problems_are_reported_together() -> None:
    found = problems(BIDE_CONCURRENCY="many", BIDE_LOCAL="maybe", BIDE_TASKS="-", BIDE_WORKERS_MIN="9")
    assert [problem.split()[0] for problem in found] == [
        "BIDE_TASKS", "BIDE_LOCAL", "BIDE_CONCURRENCY", "BIDE_WORKERS_MAX",
    ]  # fmt: skip


def test_a_problem_shows_what_was_given_and_what_may_be() -> None:
    assert problems(BIDE_CONCURRENCY="many") == (
        "BIDE_CONCURRENCY must be a whole number from 1 to 100000 (it is 'many')",
    )


def test_fewer_workers_at_most_than_at_least_is_a_problem() -> None:
    (problem,) = problems(BIDE_WORKERS_MIN="3", BIDE_WORKERS_MAX="2")
    assert "BIDE_WORKERS_MAX (2) must not be below BIDE_WORKERS_MIN (3)" in problem


@pytest.mark.parametrize(("concurrency", "waits"), [("64", 16), ("20", 5), ("7", 1), ("3", 0), ("200", 50)])
def test_requests_that_wait_take_a_quarter_of_the_api_unless_it_is_said(concurrency: str, waits: int) -> None:
    assert read(BIDE_API_CONCURRENCY=concurrency).most_waits == waits
    assert read(BIDE_API_CONCURRENCY=concurrency, BIDE_WAIT_SLOTS="0").most_waits == 0
    assert read(BIDE_API_CONCURRENCY=concurrency, BIDE_WAIT_SLOTS=str(waits)).most_waits == waits


@pytest.mark.parametrize(
    "variables",
    [{"BIDE_WAIT_SLOTS": "17"}, {"BIDE_API_CONCURRENCY": "20", "BIDE_WAIT_SLOTS": "6"}],
)
def test_more_of_them_are_a_problem(variables: dict[str, str]) -> None:
    (problem,) = problems(**variables)
    assert problem.startswith(
        f"BIDE_WAIT_SLOTS ({variables['BIDE_WAIT_SLOTS']}) must not exceed a quarter of"
    )


NAMES = {"BIDE_DRAIN_FUNCTION": "f", "BIDE_WAKE_QUEUE": "q", "BIDE_WAKE_STREAM": "s"}


@pytest.mark.parametrize(
    ("wake", "needed"),
    [
        ("none", set()),
        ("invoke", {"BIDE_DRAIN_FUNCTION"}),
        ("sqs", {"BIDE_DRAIN_FUNCTION", "BIDE_WAKE_QUEUE"}),
        ("kinesis", {"BIDE_DRAIN_FUNCTION", "BIDE_WAKE_STREAM"}),
    ],
)
def test_a_way_of_waking_that_lacks_something_is_a_problem_that_names_it(wake: str, needed: set[str]) -> None:
    assert read(BIDE_WAKE=wake, **{name: NAMES[name] for name in needed}).wake == wake
    for name in needed:
        others = {other: NAMES[other] for other in needed - {name}}
        assert problems(BIDE_WAKE=wake, **others) == (f"{name} is not set: BIDE_WAKE={wake} needs it",)


@pytest.mark.parametrize(
    ("variable", "raw"),
    [
        ("BIDE_REDIS_URL", "host:hunter2"),
        ("BIDE_REDIS_URL", "redis://:hunter2#x@host:6379"),
        ("BIDE_REDIS_URL", "redis://user:hunter2/x@host:6379"),
        ("BIDE_REDIS_URL", "rediss://[hunter2"),
        ("BIDE_API_KEY_HASHES", "hunter2"),
        ("BIDE_API_KEY_HASHES", f"{DIGEST},tenant=hunter2"),
        ("BIDE_OPERATOR_KEY_HASHES", f"{DIGEST},tenant=hunter2"),
    ],
)
def test_a_secret_is_never_shown_in_a_problem(variable: str, raw: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(**{variable: raw})
    assert "hunter2" not in str(caught.value)
    assert DIGEST not in str(caught.value)


def test_settings_do_not_show_their_secrets_when_printed() -> None:
    shown = repr(
        read(
            BIDE_REDIS_URL="redis://:hunter2@host:6379",
            BIDE_API_KEY_HASHES=DIGEST,
            BIDE_OPERATOR_KEY_HASHES=DIGEST,
        )
    )
    assert "hunter2" not in shown
    assert DIGEST not in shown
    assert "prefix='bide'" in shown


def test_every_variable_is_named_after_its_setting() -> None:
    assert [f"BIDE_{setting.name.upper()}" for setting in fields(Settings)] == VARIABLES


def test_the_page_has_a_row_for_every_setting_in_order() -> None:
    assert [variable for variable, _, _ in rows_of_the_page()] == [f"`{variable}`" for variable in VARIABLES]


@pytest.mark.parametrize("setting", fields(Settings), ids=VARIABLES)
def test_the_page_shows_default_and_meaning_of_a_setting(setting: Any) -> None:
    rows = {variable: (default, meaning) for variable, default, meaning in rows_of_the_page()}
    row = rows[f"`{setting.metadata['variable']}`"]
    assert row == (as_written(setting.default), setting.metadata["doc"])


@pytest.mark.parametrize("setting", fields(Settings), ids=VARIABLES)
def test_a_default_shown_on_the_page_reads_as_the_default(setting: Any) -> None:
    shown = as_written(setting.default)
    raw = "" if shown == "unset" else shown.strip("`")
    assert getattr(read(**{setting.metadata["variable"]: raw}), setting.name) == setting.default
