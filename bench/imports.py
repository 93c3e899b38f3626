"""What a first request, or a worker, imports: modules and the time that each takes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench import first_post
from bench.errors import BenchFailed

POST: Final = f"""
from app import app
answer = app({first_post.event()!r}, None)
assert answer["statusCode"] == 202, answer
"""
"""A first request."""

DRAIN: Final = """
from app import drain
class Context:
    def get_remaining_time_in_millis(self): return 60_000
drain({}, Context())
"""
"""A worker that finds nothing to do."""

SHOWN: Final = 15
"""Rows of a table."""

_LINE: Final = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", re.MULTILINE)
"""One line of `-X importtime`: microseconds of the module itself, and its name."""


def table(title: str, package: Path, script: str, variables: Mapping[str, str]) -> str:
    """The modules that took longest, with nothing at hand but the package and the standard library."""
    rows = _imports(package, script, variables)
    total_ms = sum(took for took, _ in rows) / 1000
    head = f"{title}: {len(rows)} modules, {total_ms:.1f} ms (measuring takes a part of that); longest:"
    longest = sorted(rows, reverse=True)[:SHOWN]
    return "\n".join([head, *(f"{took / 1000:8.2f} ms  {name}" for took, name in longest)])


def _imports(package: Path, script: str, variables: Mapping[str, str]) -> list[tuple[int, str]]:
    with tempfile.TemporaryDirectory(prefix="bide-bench-imports-") as folder:
        with zipfile.ZipFile(package) as opened:
            opened.extractall(folder)
        start = f"import sys; sys.path.insert(0, {folder!r})\n"
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-B", "-X", "importtime", "-c", start + script],
            env={"PATH": os.environ["PATH"], **variables},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
    if done.returncode:
        raise BenchFailed(f"the imports could not be looked at: {done.stderr[-500:]}")
    return [(int(took), name) for took, name in _LINE.findall(done.stderr)]
