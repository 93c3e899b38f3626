"""The queues: how many tasks each has in which state, and whether it leases any."""

from __future__ import annotations

from typing import Final

import msgspec
from chalice.app import Response

from bide.depth import Depth
from bide.errors import QueueNotFound
from bide.state import State
from chalice_app import wire
from chalice_app.requests import expect_no_body, unquoted
from chalice_app.routing import Call, Routes
from chalice_app.services import Services
from chalice_app.waking import wake

routes: Final = Routes()

_PATH: Final = "/v1/queues"

_encode = msgspec.json.Encoder().encode


class QueueJson(msgspec.Struct, frozen=True):
    """One queue. docs/http-api.md describes each field."""

    queue: str
    paused: bool
    tasks: dict[str, int]
    oldest_ready_ms: int | None


class QueuesJson(msgspec.Struct, frozen=True):
    """All of them."""

    queues: list[QueueJson]


@routes.get(_PATH)
def list_queues(call: Call) -> Response:
    """List every queue."""
    services = call.services
    depths = services.reads.depths(services.all_queues())
    found = [_json(name, depth) for name, depth in depths.items()]
    return wire.respond(200, _encode(QueuesJson(found)))


@routes.get(f"{_PATH}/{{queue}}")
def show_queue(call: Call, queue: str) -> Response:
    """Show a queue."""
    return _show(call, known_queue(call.services, queue))


@routes.post(f"{_PATH}/{{queue}}/pause", operator=True)
def pause_queue(call: Call, queue: str) -> Response:
    """Lease none of its tasks from now on; what runs goes on."""
    return _pause(call, queue, True)


@routes.post(f"{_PATH}/{{queue}}/resume", operator=True)
def resume_queue(call: Call, queue: str) -> Response:
    """Lease its tasks again."""
    return _pause(call, queue, False)


def known_queue(services: Services, text: str) -> str:
    """The queue that a path names. Raises QueueNotFound unless it may be, or has been, submitted to."""
    name = unquoted(text)
    if name not in services.queues and name not in services.store.slots():
        raise QueueNotFound
    return name


def _pause(call: Call, queue: str, paused: bool) -> Response:
    name = known_queue(call.services, queue)
    expect_no_body(call.request)
    need = call.services.store.pause(name, paused)
    wake(call.services, name, need)
    return _show(call, name)


def _show(call: Call, name: str) -> Response:
    return wire.respond(200, _encode(_json(name, call.services.reads.depth(name))))


def _json(name: str, depth: Depth) -> QueueJson:
    tasks = {str(state): depth.tasks.get(state, 0) for state in State}
    return QueueJson(name, depth.paused, tasks, depth.oldest_ready_ms)
