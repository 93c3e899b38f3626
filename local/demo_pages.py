"""The pages that the demo checks, and what must come of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from bide_client import BideError, Client
from local.site import page

COUNTS: Final = {
    "good": 220, "slow": 60, "failing": 40, "redirecting": 40, "looping": 15, "hanging": 20, "refusing": 5,
}  # fmt: skip
"""Pages of each kind."""

_HANGING_TIMEOUT: Final = 1.5
"""Seconds that a check waits for a hanging page."""

_PATIENCE_SECONDS: Final = 60.0
"""How long a result may take."""


@dataclass(frozen=True)
class Check:
    """One page to check, and what must come of it."""

    kind: str
    arguments: dict[str, Any]
    expected: dict[str, Any]
    """Keys of the result and their values; `error` names the exception, or is None."""


@dataclass(frozen=True)
class Outcome:
    """What came of a check. Times in seconds."""

    submit: float
    to_result: float
    wrong: str | None


def checks(site: str, nobody: str) -> Iterator[Check]:
    """All checks; `site` serves the pages, at `nobody` nothing listens."""
    number = 0
    for kind, count in COUNTS.items():
        for _ in range(count):
            number += 1
            url = f"{nobody if kind == 'refusing' else site}/{kind}/{number}"
            arguments = {"url": url, "timeout": _HANGING_TIMEOUT} if kind == "hanging" else {"url": url}
            yield Check(kind, arguments, {"url": url, **_expected(kind, number)})


def _expected(kind: str, number: int) -> dict[str, Any]:
    match kind:
        case "failing":
            return {"ok": False, "status": 500, "error": None}
        case "looping":
            return {"ok": False, "status": None, "error": "TooManyRedirects"}
        case "hanging":
            return {"ok": False, "status": None, "error": "ReadTimeout"}
        case "refusing":
            return {"ok": False, "status": None, "error": "ConnectionError"}
    return {"ok": True, "status": 200, "bytes": len(page(number)), "error": None}


def run(client: Client, check: Check) -> Outcome:
    """Submit one check and wait for its result."""
    begun = time.monotonic()
    submitted = begun
    try:
        task = client.submit("http_check", **check.arguments)
        submitted = time.monotonic()
        result = task.result(timeout=_PATIENCE_SECONDS)
    except BideError as error:
        return Outcome(submitted - begun, time.monotonic() - begun, f"{check.arguments['url']}: {error}")
    found = {key: result[key] for key in check.expected}
    if found["error"] is not None:
        found["error"] = found["error"].partition(":")[0]
    wrong = None if found == check.expected else f"expected {check.expected}, got {result}"
    return Outcome(submitted - begun, time.monotonic() - begun, wrong)
