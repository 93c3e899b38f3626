"""What is open to all: links, health, and the description of the API."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import msgspec
from chalice.app import Response

from bide.reads import StoreHealth
from chalice_app import wire
from chalice_app.errors import NotFound
from chalice_app.kept import Kept
from chalice_app.requests import base_path, matches
from chalice_app.routing import Call, Routes

routes: Final = Routes()

_DOCS: Final = Path(__file__).with_name("http-api.md")
"""A link to docs/http-api.md; packages hold the text itself."""

_NOT_LOADED: Final = "A task could not be loaded; the server's log says why."
_HEALTH: Final = Kept[StoreHealth]()
_OPENAPI: Final = Kept[tuple[bytes, str]]()
"""The document, and its entity tag."""

_LINKS: Final = {
    "docs": "/docs",
    "openapi": "/openapi.json",
    "tasks": "/v1/tasks",
    "server": "/v1/server",
    "stats": "/v1/stats",
    "series": "/v1/stats/series",
    "metrics": "/metrics",
    "scaling": "/v1/scaling",
    "queues": "/v1/queues",
    "workers": "/v1/workers",
    "health": "/healthz",
}


@routes.get("/", public=True)
def index(call: Call) -> Response:
    """List where to go on."""
    base = base_path(call.request, "/")
    links = {name: base + path for name, path in _LINKS.items()}
    return wire.respond(200, msgspec.json.encode({"service": "bide", "links": links}))


@routes.get("/docs", public=True)
def show_docs(_: Call) -> Response:
    """Show the description of the API for people."""
    try:
        text = _DOCS.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound("No documentation is installed here; see GET /openapi.json.") from error
    return Response(body=text, headers={"Content-Type": "text/plain; charset=utf-8"})


@routes.get("/healthz", public=True)
def show_health(call: Call) -> Response:
    """Say whether the server can work; to holders of a key also what its store would survive."""
    services = call.services
    store = _HEALTH.get(services, services.reads.health)
    told: dict[str, object] = {"status": "ok"}
    if call.tenant:
        # What a module raised may hold passwords.
        found = services.registry.problems
        problems = [str(problem) if call.is_operator else _NOT_LOADED for problem in found]
        tasks = {"registered": len(services.registry.definitions), "problems": problems}
        told |= {"store": store, "tasks": tasks}
    return wire.respond(200, msgspec.json.encode(told))


@routes.get("/openapi.json", public=True)
def show_openapi(call: Call) -> Response:
    """Describe the API, with the arguments of each registered task (OpenAPI 3.1)."""
    services, base = call.services, base_path(call.request, "/openapi.json")

    def make() -> tuple[bytes, str]:
        from chalice_app import openapi  # only who asks for it pays for loading it

        document = msgspec.json.encode(openapi.document(services, base))
        return document, f'"{hashlib.blake2b(document, digest_size=12).hexdigest()}"'

    document, tag = _OPENAPI.get((services, base), make)
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if matches(call.request.headers, tag):
        return wire.not_modified(headers)
    return wire.respond(200, document, headers)
