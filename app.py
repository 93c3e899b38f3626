"""Chalice's entry point: assembles the blueprints, and exports every Lambda handler by name."""

import sys

from chalice.app import Chalice

if "chalice.cli" in sys.modules:
    # Chalice packs bytecode that it finds, and makes its package anew when there is other bytecode.
    sys.dont_write_bytecode = True

from chalice_app import deployable, meta, server, tasks
from chalice_app.routing import close_gaps
from chalice_app.services import PROVIDER
from workers import fleet
from workers.drain import drain
from workers.drain import routes as drain_routes
from workers.triggers import routes as trigger_routes
from workers.triggers import tick, wake_by_queue, wake_by_stream

deployable.check()
PROVIDER.wake_with(fleet.doorbell)

app = Chalice(app_name="bide")
app.api.binary_types = []  # all is text: Chalice need not look for binary types in each request
app.register_blueprint(meta.routes)
app.register_blueprint(tasks.routes)
app.register_blueprint(server.routes)
app.register_blueprint(trigger_routes)
app.register_blueprint(drain_routes)
close_gaps(app)

__all__ = ["app", "drain", "tick", "wake_by_queue", "wake_by_stream"]
