"""What goes wrong in a benchmark, as opposed to a goal that is missed."""

from __future__ import annotations


class BenchFailed(Exception):
    """A benchmark did not do its work, so that its numbers would mean nothing."""
