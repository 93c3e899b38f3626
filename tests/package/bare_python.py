"""Python with nothing but a deployment package and the standard library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from proxy_events import IN_A_SCRIPT

SUBMIT = f"""
{IN_A_SCRIPT}
from app import app
answer = app(ECHO, None)
say(answer["statusCode"])
"""
"""Says the status of a POST to /v1/tasks."""

WORK = """
import asyncio, os
from bide import registry
from bide.settings import Settings
from bide.worker.worker import Worker
settings = Settings.from_environ(os.environ)
tasks = registry.load(settings.tasks, local=settings.local)
asyncio.run(Worker(settings, tasks, settings.redis_url, stays=False).run())
say("left")
"""
"""Says that a worker has found nothing to do any more."""

_START = """
import json, sys
sys.path.insert(0, {folder!r})
def say(what):
    origins = {{name: getattr(module, "__cached__", None) for name, module in sys.modules.items()}}
    print(json.dumps({{"said": what, "loaded": origins}}))
"""


def run(folder: Path, script: str, **environment: str) -> tuple[Any, dict[str, str | None]]:
    """What the script says, and the modules that are loaded then, each with where its bytecode stands."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", _START.format(folder=str(folder)) + script],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=folder.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])  # Chalice logs to standard output, too
    return report["said"], report["loaded"]
