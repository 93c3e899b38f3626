"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import msgspec
import psutil

from bench.bed import bed


class Machine(msgspec.Struct, frozen=True):
    """Hardware, and what ran on it besides."""

    cpu: str
    cores: int
    memory_gib: float
    system: str
    load: float
    """Load average of the minute before the run: what others had the machine do."""


class Versions(msgspec.Struct, frozen=True):
    python: str
    valkey: str
    redis_py: str


def machine() -> Machine:
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=platform.system(),
        load=round(psutil.getloadavg()[0], 2),
    )


def versions() -> Versions:
    with bed() as store:
        valkey = store.version()
    return Versions(platform.python_version(), valkey, version("redis"))


def _cpu() -> str:
    """The processor's name where the system tells it."""
    try:
        facts = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in facts.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()
