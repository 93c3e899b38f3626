"""Chalice's entry point: assembles the blueprints, and exports every Lambda handler by name."""

from chalice.app import Chalice

from chalice_app import meta, server, tasks
from chalice_app.routing import close_gaps

app = Chalice(app_name="bide")
app.api.binary_types = []  # all is text: Chalice need not look for binary types in each request
app.register_blueprint(meta.routes)
app.register_blueprint(tasks.routes)
app.register_blueprint(server.routes)
close_gaps(app)

__all__ = ["app"]
