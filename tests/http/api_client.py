"""The app as a test sees it: through chalice.test.Client, without a socket."""

from __future__ import annotations

import json
from typing import Any

from chalice.test import Client, HTTPResponse

LOCALHOST = {"host": "localhost:8000"}


class Reply:
    """A response; header names in any case."""

    def __init__(self, response: HTTPResponse) -> None:
        self.status: int = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self.body: bytes = response.body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem, which it must be in every respect."""
        problem = self.json
        assert self.headers["content-type"] == "application/problem+json"
        assert problem["status"] == self.status >= 400
        assert problem["title"]
        assert problem["detail"]
        code: str = problem["code"]
        return code

    @property
    def pointers(self) -> list[str]:
        """Where the fields are that a problem complains of."""
        assert all(error["detail"] for error in self.json["errors"])
        return [error["pointer"] for error in self.json["errors"]]


class Api:
    """Requests with the headers that a well-behaved local client sends, unless told otherwise."""

    def __init__(self, client: Client, headers: dict[str, str] = LOCALHOST) -> None:
        self._client = client
        self._headers = headers

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str | None] | None = None
    ) -> Reply:
        """`headers` are added; one that is None is left out."""
        usual = {**self._headers, **({"content-type": "application/json"} if body else {})}
        sent = usual | {name.lower(): value for name, value in (headers or {}).items()}
        kept = {name: value for name, value in sent.items() if value is not None}
        return Reply(self._client.http.request(method, path, headers=kept, body=body))

    def get(self, path: str, **headers: str | None) -> Reply:
        """`if_none_match="x"` sends `If-None-Match: x`."""
        return self.request("GET", path, headers=_named(headers))

    def post(self, path: str, json_body: object = None, **headers: str | None) -> Reply:
        body = b"" if json_body is None else json.dumps(json_body).encode()
        return self.request("POST", path, body, _named(headers))

    def submit(self, name: str = "echo", args: dict[str, Any] | None = None, **fields: Any) -> Reply:
        """Submit a task that is valid but for what is given."""
        given = {"value": 1} if args is None and name == "echo" else args
        return self.post("/v1/tasks", {"name": name, **({} if given is None else {"args": given}), **fields})

    def submit_raw(self, body: bytes, **headers: str | None) -> Reply:
        return self.request("POST", "/v1/tasks", body, _named(headers))


def _named(headers: dict[str, str | None]) -> dict[str, str | None]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
