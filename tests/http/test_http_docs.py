"""docs/http-api.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bide.state import State
from chalice_app import limits, operations, problems
from chalice_app.schemas import SCHEMAS
from chalice_app.submission import SubmissionBody

DOCS = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text(encoding="utf-8")


def test_every_code_is_listed_with_its_status_and_no_other() -> None:
    listed = {
        (code, int(status))
        for code, status in re.findall(r"^\| `([A-Z_]+)` \| (\d{3}) \|", DOCS, re.MULTILINE)
    }
    known = {(error.code, status) for error, status in problems.STATUS.items()}
    assert listed == known | {(problems.INTERNAL, 500)}


def test_the_table_has_every_route_with_what_it_may_answer() -> None:
    """As /openapi.json has them; a test there holds that against the routes."""
    table = DOCS.partition("problems besides 401, 403, 500, 503")[2].partition("\n\n")[0]
    listed = {
        tuple(route): (set(re.findall(r"\b[23]\d\d\b", cells[1])), set(re.findall(r"\b4\d\d\b", cells[2])))
        for cells in ([*line.strip("| ").split("|"), ""] for line in table.splitlines()[2:])
        for route in re.findall(r"`([A-Z]+) (\S+)`", cells[0])
    }
    described = {
        (method.upper(), path): (
            {status for status in operation["responses"] if status < "400"},
            {status for status in operation["responses"] if "400" <= status < "500"} - {"401", "403"},
        )
        for path, methods in operations.paths({}).items()
        for method, operation in methods.items()
        if method != "parameters"
    }
    assert listed == described


@pytest.mark.parametrize(
    "word",
    [
        *State,
        *sorted(SubmissionBody.LATER),
        *SCHEMAS["Task"]["properties"],
        *SCHEMAS["Server"]["properties"],
        *SCHEMAS["Stats"]["properties"],
        *SCHEMAS["ChartJson"]["properties"],
        *SCHEMAS["SeriesJson"]["properties"],
    ],
)
def test_every_state_and_field_is_named(word: str) -> None:
    assert f"`{word}`" in DOCS or f'"{word}"' in DOCS


@pytest.mark.parametrize(
    "limit",
    [
        limits.MAX_BODY_BYTES,
        limits.MAX_EVENT_BYTES,
        limits.MAX_EVENT_NAME_LENGTH,
        limits.MAX_DEPTH,
        limits.MAX_DELAY_SECONDS,
        limits.MAX_KEY_LENGTH,
        limits.MAX_WAIT_SECONDS,
        limits.MAX_REASON_LENGTH,
        limits.MAX_CLOSED_SECONDS,
        limits.LONGEST_RETRY_AFTER,
        limits.LONGEST_PREDICTION,
        limits.MAX_SERIES_MINUTES,
        limits.DEFAULT_SERIES_MINUTES,
        limits.CLOSED_RETRY_AFTER,
    ],
)
def test_every_limit_is_given(limit: int) -> None:
    assert re.search(rf"\b{limit:,}\b", DOCS)
