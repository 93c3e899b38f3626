"""Worker processes of a benchmark: started ready to go, let go together, their CPU time read."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Final

import psutil

from bench.bed import environ
from bench.errors import BenchFailed
from local.children import ROOT

_LEAVE_SECONDS: Final = 10.0


class Crew:
    """Running worker processes. They have imported everything, and wait for `go`."""

    def __init__(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        self._processes = processes
        self._seen = [psutil.Process(process.pid) for process in processes]

    def go(self) -> None:
        """Let them work."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()

    def leave(self) -> None:
        """Let them leave in good order; returns once they have ended."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes:
            process.wait(_LEAVE_SECONDS)

    def cpu_seconds(self) -> float:
        """CPU time of all of them since their start, user and system."""
        times = [process.cpu_times() for process in self._seen]
        return float(sum(of_one.user + of_one.system for of_one in times))


def _read(logs: IO[bytes]) -> str:
    logs.seek(0)
    return logs.read().decode(errors="replace")


@contextmanager
def crew(
    size: int, redis_url: str, tasks: str = "bench.tasks", settings: Mapping[str, str] | None = None
) -> Iterator[Crew]:
    """`size` workers that know the tasks of package `tasks`; they end with the body.

    settings: environment variables besides those of the test bed.
    """
    logs = tempfile.TemporaryFile()  # noqa: SIM115 - closed below, once nobody writes to it
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.worker"],
            cwd=ROOT,
            env={**environ(redis_url, tasks), **(settings or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=logs,
        )
        for _ in range(size)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                raise BenchFailed(f"a worker did not start; it says:\n{_read(logs)}")
        yield Crew(processes)
    finally:
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in processes:
            try:
                process.wait(_LEAVE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        logs.close()
