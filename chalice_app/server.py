"""The server as a whole: whether it accepts submissions, how it scales, what its tasks came to."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from chalice.app import Response
from msgspec import Meta

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
    """Show whether the server accepts submissions."""
    return wire.respond(200, wire.gate_json(call.services.gatekeeper.read()))


@routes.post("/v1/server/close", operator=True)
def close_server(call: Call) -> Response:
    """Refuse submissions from now on, in all queues and processes."""
    body = read_body(call.request, _CLOSE)
    return wire.respond(200, wire.gate_json(call.services.gatekeeper.close(body.reason, body.retry_after)))


@routes.post("/v1/server/open", operator=True)
def open_server(call: Call) -> Response:
    """Accept submissions again."""
    expect_no_body(call.request)
    return wire.respond(200, wire.gate_json(call.services.gatekeeper.open()))


@routes.get("/v1/scaling")
def show_scaling(call: Call) -> Response:
    """Show what the autoscaler sees of each queue, and what was decided lately."""
    store, reads = call.services.store, call.services.reads
    fleets = {queue: (store.limits(queue), reads.fleet(queue)) for queue in call.services.queues}
    return wire.respond(200, scaling.scaling_json(fleets))


@routes.get("/v1/stats")
def show_stats(call: Call) -> Response:
    """Show what all tasks came to, of every tenant: they share the workers that are paid for."""
    services = call.services
    return wire.respond(200, stats.stats_json(services.reads.tally(services.queues), services.tariff))
