"""Chalice's entry point: assembles the blueprints, and exports every Lambda handler by name."""

import os
import sys

from chalice.app import Chalice

if "chalice.cli" in sys.modules:
    # Chalice packs bytecode that it finds, and makes its package anew when there is other bytecode.
    sys.dont_write_bytecode = True

from workers import fleet
from workers.drain import drain
from workers.drain import routes as drain_routes
from workers.environment import serves_requests
from workers.triggers import routes as trigger_routes
from workers.triggers import tick, wake_by_queue, wake_by_stream

app = Chalice(app_name="bide", configure_logs=False)  # bide/process_log.py does
if serves_requests(os.environ):
    # Of the functions, one: the others start the sooner for not loading it.
    from chalice_app import assembly

    assembly.serve(app, fleet.doorbell)
app.register_blueprint(trigger_routes)
app.register_blueprint(drain_routes)

__all__ = ["app", "drain", "tick", "wake_by_queue", "wake_by_stream"]
