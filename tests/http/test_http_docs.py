"""docs/http-api.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_http_routes import SERVED

from bide.state import State
from chalice_app import limits, problems
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


@pytest.mark.parametrize("path", SERVED)
def test_every_route_is_listed(path: str) -> None:
    assert any(f"`{method} {path}`" in DOCS for method in SERVED[path])


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
