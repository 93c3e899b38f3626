"""The HTTP API: Chalice blueprints over the core.

A request passes `routing` (who may, and which error is which answer), then one view
of `tasks`, `server` or `meta`. `app.py` assembles the blueprints.
"""
