"""REST proxy events: what API Gateway sends to the API's function."""

from __future__ import annotations

from typing import Any

from local.proxy_event import Api, Route, event_of


def proxy_event(method: str, resource: str, path: str = "", **fields: Any) -> dict[str, Any]:
    """The event of a request. fields: what stands in place of its own.

    path: as the client has it, with the stage in it; the resource unless given.
    """
    event = event_of(
        Api("api", "api"),
        Route(resource, None),
        method,
        path or resource,
        "",
        [("Host", "localhost")],
        b"",
        "127.0.0.1",
        "r-1",
    )
    return event | fields


_HEADERS = {"Authorization": "Bearer key", "Content-Type": "application/json"}
_ECHO = '{"name": "echo", "args": {"value": 1}}'

IN_A_SCRIPT = f"""
ECHO = {proxy_event("POST", "/v1/tasks", "/api/v1/tasks", headers=_HEADERS, body=_ECHO)!r}
def show(id):
    return {proxy_event("GET", "/v1/tasks/{id}", headers=_HEADERS)!r} | {{"pathParameters": {{"id": id}}}}
"""
"""Begins a script that knows a POST of a task and the GET of one, where nothing but a package is at hand."""
