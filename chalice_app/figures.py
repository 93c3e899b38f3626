"""Figures: what happened in the last minutes, and all that Prometheus wants to know."""

from __future__ import annotations

from typing import Final

from chalice.app import Response

from bide.errors import QueueNotFound
from chalice_app import query, wire
from chalice_app.limits import DEFAULT_SERIES_MINUTES, MAX_NAME_LENGTH, MAX_QUEUE_LENGTH, MAX_SERIES_MINUTES
from chalice_app.routing import Call, Routes

routes: Final = Routes()


@routes.get("/v1/stats/series")
def show_series(call: Call) -> Response:
    """Show what happened in each of the last minutes, by queue and by task."""
    from bide import series  # only who asks for it pays for loading it
    from chalice_app.series import chart_json

    given = query.parameters(call.request, ("minutes", "queue", "name"))
    minutes = query.integer(given, "minutes", 1, MAX_SERIES_MINUTES, DEFAULT_SERIES_MINUTES)
    queue = query.text(given, "queue", MAX_QUEUE_LENGTH)
    name = query.text(given, "name", MAX_NAME_LENGTH)
    queues = [each for each in call.services.all_queues() if queue in ("", each)]
    if not queues:
        raise QueueNotFound
    packed = call.services.reads.series(queues, minutes)
    found = {each: series.read_minutes(of_queue) for each, of_queue in packed.items()}
    return wire.respond(200, chart_json(series.chart(found, minutes, name), minutes))


@routes.get("/metrics")
def show_metrics(call: Call) -> Response:
    """Show what there is now, and the totals, as Prometheus reads it."""
    from chalice_app import metrics  # only who asks for it pays for loading it

    reads, queues = call.services.reads, call.services.all_queues()
    depths, fleets = reads.depths(queues), reads.fleets(queues)
    now = {queue: metrics.QueueNow(depths[queue], fleets[queue].seen) for queue in queues}
    text = metrics.metrics_text(reads.tally(queues), now)
    return Response(body=text, headers={"Content-Type": metrics.MEDIA_TYPE})
