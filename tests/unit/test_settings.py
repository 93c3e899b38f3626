"""Settings: read once, every problem reported, nothing secret repeated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from bide.errors import SettingsError
from bide.settings import Settings

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"
SECRET = "hunter2-hunter2"
DIGEST = "ab" * 32


def problems(environ: Mapping[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ(environ)
    return caught.value.problems


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environ({}) == Settings()


def test_a_variable_of_nothing_but_spaces_counts_as_unset() -> None:
    assert Settings.from_environ({"BIDE_CONCURRENCY": "  "}) == Settings()


def test_every_setting_can_be_set() -> None:
    given = {
        "BIDE_REDIS_URL": "rediss://store:6380/1",
        "BIDE_PREFIX": "other",
        "BIDE_TASKS": "shop.tasks, mail",
        "BIDE_QUEUES": "vms,mail",
        "BIDE_API_KEY_HASHES": f"{DIGEST}, acme={DIGEST[::-1]}",
        "BIDE_LOCAL": "1",
        "BIDE_CONCURRENCY": "7",
        "BIDE_LEASE_SECONDS": "1.5",
        "BIDE_GRACE_SECONDS": "2",
        "BIDE_IDLE_SECONDS": "0",
        "BIDE_WORKERS_MIN": "0",
        "BIDE_WORKERS_MAX": "9",
        "BIDE_API_PROCESSES": "3",
        "BIDE_TICK_SECONDS": "0.5",
        "BIDE_RETENTION_SECONDS": "60",
        "BIDE_WAIT_SLOTS": "5",
        "BIDE_RATE_LIMIT": "100",
    }
    assert set(given) == {field.metadata["variable"] for field in fields(Settings)}
    assert Settings.from_environ(given) == Settings(
        redis_url="rediss://store:6380/1",
        prefix="other",
        tasks=("shop.tasks", "mail"),
        queues=("vms", "mail"),
        api_key_hashes=(("default", DIGEST), ("acme", DIGEST[::-1])),
        local=True,
        concurrency=7,
        lease_seconds=1.5,
        grace_seconds=2.0,
        idle_seconds=0.0,
        workers_min=0,
        workers_max=9,
        api_processes=3,
        tick_seconds=0.5,
        retention_seconds=60,
        wait_slots=5,
        rate_limit=100,
    )


def test_settings_never_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().prefix = "other"  # type: ignore[misc]


BAD = {
    "BIDE_REDIS_URL": "http://store",
    "BIDE_PREFIX": "a:b",
    "BIDE_TASKS": "no-package",
    "BIDE_QUEUES": "ok,Not Ok",
    "BIDE_API_KEY_HASHES": "abc",
    "BIDE_LOCAL": "maybe",
    "BIDE_CONCURRENCY": "0",
    "BIDE_LEASE_SECONDS": "0.1",
    "BIDE_GRACE_SECONDS": "soon",
    "BIDE_IDLE_SECONDS": "-1",
    "BIDE_WORKERS_MIN": "1.5",
    "BIDE_WORKERS_MAX": "0",
    "BIDE_API_PROCESSES": "1e9",
    "BIDE_TICK_SECONDS": "nan",
    "BIDE_RETENTION_SECONDS": "0",
    "BIDE_WAIT_SLOTS": "many",
    "BIDE_RATE_LIMIT": "-3",
}


def test_all_problems_are_reported_together() -> None:
    assert sorted(problem.split()[0] for problem in problems(BAD)) == sorted(BAD)


@pytest.mark.parametrize(("variable", "value"), BAD.items())
def test_a_problem_names_its_variable_and_what_is_allowed(variable: str, value: str) -> None:
    (problem,) = problems({variable: value})
    assert problem.startswith(f"{variable} ")
    assert re.search(r"must|holds", problem)


def test_workers_that_contradict_each_other_are_a_problem_too() -> None:
    (problem,) = problems({"BIDE_WORKERS_MIN": "5", "BIDE_WORKERS_MAX": "4"})
    assert "BIDE_WORKERS_MAX (4) must not be below BIDE_WORKERS_MIN (5)" in problem


@pytest.mark.parametrize("variable", ["BIDE_REDIS_URL", "BIDE_API_KEY_HASHES"])
def test_a_secret_is_never_repeated(variable: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({variable: f"oops://:{SECRET}@store"})
    assert SECRET not in str(caught.value)


def test_what_is_printed_of_settings_holds_no_secret() -> None:
    url = f"redis://:{SECRET}@store"
    settings = Settings.from_environ({"BIDE_REDIS_URL": url, "BIDE_API_KEY_HASHES": DIGEST})
    assert settings.redis_url == url
    assert SECRET not in repr(settings)
    assert DIGEST not in repr(settings)


def test_a_value_that_is_no_secret_is_shown() -> None:
    assert problems({"BIDE_CONCURRENCY": "lots"})[0].endswith("(it is 'lots')")


# --- docs/settings.md ---------------------------------------------------------------------


def shown(default: Any) -> str:
    """A default as the table writes it."""
    if default in ("", ()):
        return "unset"
    if isinstance(default, bool):
        return f"`{int(default)}`"
    if isinstance(default, tuple):
        return f"`{','.join(default)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def table_rows() -> dict[str, tuple[str, str]]:
    """By variable: default and meaning, from the first table of the page."""
    rows: dict[str, tuple[str, str]] = {}
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"\| `(BIDE_\w+)` \| (.+?) \| (.+) \|", line)
        if match:
            rows[match[1]] = (match[2], match[3])
        elif rows:
            break
    return rows


def test_the_page_of_settings_lists_every_setting_and_no_other() -> None:
    expected = {
        field.metadata["variable"]: (shown(field.default), field.metadata["doc"]) for field in fields(Settings)
    }
    assert table_rows() == expected
