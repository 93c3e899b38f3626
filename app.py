"""Chalice's entry point: assembles the blueprints, and exports every Lambda handler by name."""

import sys

from chalice.app import Chalice

if "chalice.cli" in sys.modules:
    # Chalice packs bytecode that it finds, and makes its package anew when there is other bytecode.
    sys.dont_write_bytecode = True

from chalice_app import meta, server, tasks
from chalice_app.routing import close_gaps

app = Chalice(app_name="bide")
app.api.binary_types = []  # all is text: Chalice need not look for binary types in each request
app.register_blueprint(meta.routes)
app.register_blueprint(tasks.routes)
app.register_blueprint(server.routes)
close_gaps(app)

__all__ = ["app"]
