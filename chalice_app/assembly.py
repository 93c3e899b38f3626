"""The HTTP API, put together on a Chalice app."""

from __future__ import annotations

from collections.abc import Callable

from chalice.app import Chalice

from bide.settings import Settings
from bide.wake import Wake
from chalice_app import batches, deployable, figures, listing, log, meta, queues, redrive, server, tasks
from chalice_app.routing import close_gaps
from chalice_app.services import PROVIDER


def serve(app: Chalice, wake: Callable[[Settings], Wake]) -> None:
    """Register every route; requests wake workers as `wake` says. Refuses to deploy what lacks settings."""
    deployable.check()
    PROVIDER.wake_with(wake)
    app.api.binary_types = []  # all is text: Chalice need not look for binary types in each request
    app.register_blueprint(meta.routes)
    app.register_blueprint(listing.routes)
    app.register_blueprint(tasks.routes)
    app.register_blueprint(batches.routes)
    app.register_blueprint(log.routes)
    app.register_blueprint(server.routes)
    app.register_blueprint(queues.routes)
    app.register_blueprint(redrive.routes)
    app.register_blueprint(figures.routes)
    close_gaps(app)
