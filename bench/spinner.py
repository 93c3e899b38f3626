"""Keeps one core awake: a process of lowest priority that does nothing, busily.

Without it an idle core sleeps between the steps of a sequential exchange, and its
wake-up is what gets measured. At nice 19 it yields to whoever has work.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from local.children import ROOT


@contextmanager
def core_awake() -> Iterator[None]:
    """Spin during the body."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.spinner", str(os.getpid())], cwd=ROOT, stdin=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Spin as long as the parent process lives."""
    parent = int(sys.argv[1])
    os.nice(19)
    while os.getppid() == parent:
        for _ in range(100_000):
            pass


if __name__ == "__main__":
    main()
