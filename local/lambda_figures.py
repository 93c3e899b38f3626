"""What the functions did, as a table for a person."""

from __future__ import annotations

from collections.abc import Mapping

from local.emulator.figures import Figures

_HEAD = ("function", "invocations", "errors", "cold starts", "billed", "max memory")


def table(figures: Mapping[str, Figures]) -> str:
    """A line for each function that was invoked; empty when none was."""
    rows = [
        (
            name,
            f"{found.invocations:,}",
            f"{found.errors:,}",
            f"{found.cold_starts:,}",
            f"{found.billed_ms:,} ms",
            f"{found.max_rss_bytes / 1024 / 1024:.0f} of {found.memory_mb:,} MB",
        )
        for name, found in figures.items()
        if found.invocations
    ]
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (_HEAD, *rows)
    )
