"""Failed tasks by the many: redrive them, purge them, and ask how far that has come.

What these views need is loaded when they are first called: hardly any process is asked for it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from chalice.app import Response

from chalice_app import wire
from chalice_app.queues import known_queue
from chalice_app.requests import base_path, operation_id, read_optional_body
from chalice_app.routing import Call, Routes

if TYPE_CHECKING:
    from bide.bulk import Bulk, Kind, Wanted

routes: Final = Routes()

_PATH: Final = "/v1/operations"
_AT_ONCE_S: Final = 1.0
"""How long a request works on its operation before it leaves the rest to the tick."""


@routes.post("/v1/queues/{queue}/redrive", operator=True)
def redrive_queue(call: Call, queue: str) -> Response:
    """Retry failed tasks of a queue: 202 with the operation, which goes on unless it says it is done."""
    from bide.bulk import Kind
    from chalice_app import bulk

    slot = known_queue(call.services, queue)
    body = read_optional_body(call.request, bulk.REDRIVE)
    return _begin(call, slot, Kind.REDRIVE, bulk.wanted_by(body), body.dry_run, body.rate or 0)


@routes.post("/v1/queues/{queue}/purge", operator=True)
def purge_queue(call: Call, queue: str) -> Response:
    """Erase failed tasks of a queue: 202 as above."""
    from bide.bulk import Kind
    from chalice_app import bulk

    slot = known_queue(call.services, queue)
    body = read_optional_body(call.request, bulk.PURGE)
    return _begin(call, slot, Kind.PURGE, bulk.wanted_by(body), body.dry_run, 0)


@routes.get(_PATH, operator=True)
def list_operations(call: Call) -> Response:
    """List the latest operations of all queues."""
    from chalice_app import bulk

    return wire.respond(200, bulk.operations_json(_bulk(call).latest(call.services.queues)))


@routes.get(f"{_PATH}/{{id}}", operator=True)
def show_operation(call: Call, id: str) -> Response:
    """Show how far an operation has come."""
    from chalice_app import bulk

    return wire.respond(200, bulk.operation_json(_bulk(call).show(operation_id(id))))


def _begin(call: Call, slot: str, kind: Kind, wanted: Wanted, dry_run: bool, rate: float) -> Response:
    from chalice_app import bulk

    ends_at = time.monotonic() + _AT_ONCE_S
    known = _bulk(call).begin(
        slot, kind, wanted, dry_run=dry_run, rate=rate, goes_on=lambda: time.monotonic() < ends_at
    )
    base = base_path(call.request, f"/v1/queues/{slot}/{kind}")
    return wire.respond(202, bulk.operation_json(known), {"Location": f"{base}{_PATH}/{known.id}"})


def _bulk(call: Call) -> Bulk:
    from bide.bulk import Bulk

    return Bulk(call.services.store, call.services.waker)
