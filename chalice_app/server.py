"""The server as a whole: whether it accepts submissions, what is left, who works, what it all came to."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from chalice.app import Response
from msgspec import Meta

from bide.gate import Gate
from chalice_app import scaling, stats, wire
from chalice_app.limits import MAX_CLOSED_SECONDS, MAX_REASON_LENGTH
from chalice_app.requests import expect_no_body, read_body
from chalice_app.routing import Call, Routes

routes: Final = Routes()


class CloseBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/server/close`."""

    reason: Annotated[str, Meta(min_length=1, max_length=MAX_REASON_LENGTH)]
    retry_after: Annotated[int, Meta(ge=0, le=MAX_CLOSED_SECONDS)] = 0
    """Seconds; 0 is no hint."""


_CLOSE: Final = msgspec.json.Decoder(CloseBody)


@routes.get("/v1/server")
def show_server(call: Call) -> Response:
    """Show whether the server accepts submissions, and how many tasks are left."""
    return _show(call, call.services.gatekeeper.read())


@routes.post("/v1/server/close", operator=True)
def close_server(call: Call) -> Response:
    """Refuse submissions from now on, in all queues and processes."""
    body = read_body(call.request, _CLOSE)
    return _show(call, call.services.gatekeeper.close(body.reason, body.retry_after))


@routes.post("/v1/server/open", operator=True)
def open_server(call: Call) -> Response:
    """Accept submissions again."""
    expect_no_body(call.request)
    return _show(call, call.services.gatekeeper.open())


@routes.post("/v1/server/drain", operator=True)
def drain_server(call: Call) -> Response:
    """Close the server, and count what is left: ask again to watch it reach zero."""
    body = read_body(call.request, _CLOSE)
    gate = call.services.gatekeeper.close(body.reason, body.retry_after)
    return _show(call, gate, by_queue=True)


@routes.get("/v1/workers")
def show_workers(call: Call) -> Response:
    """Show the workers, and those of the caller's tasks that they hold; an operator sees all."""
    from bide.crew import crew  # only who asks for it pays for loading it
    from chalice_app.crew import crew_json

    services = call.services
    members = crew(services.store, services.all_queues(), services.settings.has_own_places)
    return wire.respond(200, crew_json(members, None if call.is_operator else call.tenant))


@routes.get("/v1/scaling")
def show_scaling(call: Call) -> Response:
    """Show what the autoscaler sees of each queue, and what was decided lately."""
    store, reads = call.services.store, call.services.reads
    fleets = reads.fleets(call.services.queues)
    seen = {queue: (store.limits(queue), fleet) for queue, fleet in fleets.items()}
    return wire.respond(200, scaling.scaling_json(seen))


@routes.get("/v1/stats")
def show_stats(call: Call) -> Response:
    """Show what all tasks came to, of every tenant: they share the workers that are paid for."""
    services = call.services
    return wire.respond(200, stats.stats_json(services.reads.tally(services.queues), services.tariff))


def _show(call: Call, gate: Gate, *, by_queue: bool = False) -> Response:
    depths = call.services.reads.depths(call.services.store.slots())
    left = {slot: depth.left for slot, depth in depths.items()}
    return wire.respond(200, wire.gate_json(gate, left, by_queue=by_queue))
