"""The first POST that an environment of the API's function gets, as API Gateway passes it on."""

from __future__ import annotations

from typing import Any, Final

from local.proxy_event import Api, Route, event_of

KEY: Final = "bench"
"""The key that it comes with."""


def event() -> dict[str, Any]:
    return event_of(
        Api("bench", "api", prefix="/api"),
        Route("/v1/tasks", None),
        "POST",
        "/v1/tasks",
        "",
        [("Authorization", f"Bearer {KEY}"), ("Content-Type", "application/json")],
        b'{"name": "noop", "args": {"value": 1}}',
        "127.0.0.1",
        "bench",
    )
