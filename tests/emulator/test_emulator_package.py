"""The product's own deployment package, behind API Gateway's face and against a real store."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from emulator_thread import EmulatorThread

from local.emulator.function import Function
from local.emulator.rest_api import RestApi

ROOT = Path(__file__).parents[2]
WHEELHOUSE = Path(sys.prefix) / "wheelhouse"
"""Wheels that the installation has put by, for machines without a network."""

SOURCES = ("app.py", "requirements.txt", ".chalice", "vendor", "bide", "chalice_app", "workers", "docs")

DIGEST = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"  # of "key"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `chalice package` makes of the stage dev: a folder with deployment.zip and sam.json."""
    project = tmp_path_factory.mktemp("project")
    ignored = shutil.ignore_patterns("__pycache__", "deployments", "deployed")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, project / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, project / name)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BIDE_", "AWS_"))}
    if WHEELHOUSE.is_dir():
        kept |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(WHEELHOUSE)}
    done = subprocess.run(
        [sys.executable, "-c", "from chalice.cli import main; main()", "package", "--stage", "dev", "out"],
        cwd=project,
        env={**kept, "AWS_DEFAULT_REGION": "eu-central-1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return project / "out"


class Served:
    """The API of the package, as clients reach it."""

    def __init__(self, emulator: EmulatorThread, package: Path, **environment: str) -> None:
        template = json.loads((package / "sam.json").read_text())["Resources"]
        properties = template["APIHandler"]["Properties"]
        function = Function(
            "bide-dev",
            properties["Handler"],
            package / "deployment.zip",
            memory_mb=properties["MemorySize"],
            timeout_s=properties["Timeout"],
            environment={**properties["Environment"]["Variables"], **environment},
        )
        emulator.do(lambda: emulator.emulator.deploy([function]))
        paths = template["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
        resources = {
            path: {method.upper(): "bide-dev" for method in methods} for path, methods in paths.items()
        }
        rest_api = RestApi("api1", "api", "123456789012", resources)
        self.url = emulator.call(emulator.emulator.serve_api(rest_api))

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any, Any]:
        """Status, headers and JSON of an answer."""
        request = urllib.request.Request(
            self.url + path,
            json.dumps(body).encode() if body is not None else None,
            {"Authorization": "Bearer key", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answered:
            return answered.status, answered.headers, json.load(answered)


@pytest.fixture
def served(emulator: EmulatorThread, package: Path, store_url: str, prefix: str) -> Iterator[Served]:
    yield Served(
        emulator,
        package,
        BIDE_REDIS_URL=store_url,
        BIDE_API_KEY_HASHES=DIGEST,
        BIDE_PREFIX=prefix,
        BIDE_WAKE="none",
    )
    print(emulator.figures("bide-dev"))
    emulator.emulator.deployed("bide-dev").package.check()


def test_a_task_is_submitted_and_shown(served: Served) -> None:
    status, headers, task = served.ask("POST", "/v1/tasks", {"name": "echo", "args": {"value": 1}})
    assert status == 202
    assert headers["Location"] == f"/api/v1/tasks/{task['id']}"
    status, _, shown = served.ask("GET", f"/v1/tasks/{task['id']}")
    assert (status, shown["id"], shown["name"]) == (200, task["id"], "echo")


def test_clients_that_come_together_are_all_served(served: Served, emulator: EmulatorThread) -> None:
    answers: list[int] = []

    def submit() -> None:
        for value in range(5):
            answers.append(served.ask("POST", "/v1/tasks", {"name": "echo", "args": {"value": value}})[0])

    clients = [threading.Thread(target=submit) for _ in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert answers == [202] * 20
    figures = emulator.figures("bide-dev")
    assert figures.invocations == 20
    assert figures.cold_starts == figures.environments <= 4
