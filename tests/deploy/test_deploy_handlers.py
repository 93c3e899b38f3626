"""The handlers of the uploaded package, called as Lambda calls them: by name, with nothing else around."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from deployment import DIGEST, Project
from proxy_events import IN_A_SCRIPT

_CALLS = (
    IN_A_SCRIPT
    + """
import importlib, json, sys, time
sys.path.insert(0, PACKAGE)

class Context:
    aws_request_id, function_name = "1", "bide-dev-drain"
    def get_remaining_time_in_millis(self):
        return 900_000

def call(handler, event):
    module, _, name = handler.rpartition(".")
    return getattr(importlib.import_module(module), name)(event, Context())

submitted = json.loads(call("app.app", ECHO)["body"])
scheduled = {
    "version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events", "account": "1",
    "time": "", "region": "r", "resources": [], "detail": {},
}
records = [{"body": '{"start":0,"hops":0}', "receiptHandle": "r"}]
answers = [
    call("app.tick", scheduled),
    call("app.wake_by_queue", {"Records": records}),
    call("app.drain", {"hops": 2}),
    call("app.drain", {"hops": 2}),
]
shown = json.loads(call("app.app", show(submitted["id"]))["body"])
print(json.dumps({"answers": answers, "state": shown["state"], "result": shown["result"]}))
"""
)


@pytest.fixture(scope="module")
def package(deployed: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package that was uploaded, unpacked."""
    (file,) = (deployed.folder / ".chalice" / "deployments").glob("*.zip")
    folder = tmp_path_factory.mktemp("package")
    with zipfile.ZipFile(file) as opened:
        opened.extractall(folder)
    return folder


def run(package: Path, variables: dict[str, str]) -> Any:
    script = _CALLS.replace("PACKAGE", repr(str(package)))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", script],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_one_package_takes_a_task_and_runs_it(
    deployed: Project, package: Path, store_url: str, prefix: str
) -> None:
    """boto3 is Lambda's own, and not here: nobody can be woken, so the test calls the worker itself."""
    variables = deployed.config["stages"]["dev"]["environment_variables"] | {
        "BIDE_REDIS_URL": store_url,
        "BIDE_API_KEY_HASHES": DIGEST,
        "BIDE_PREFIX": prefix,
        "BIDE_IDLE_SECONDS": "0.05",
    }
    found = run(package, variables)
    assert found == {"answers": [None, None, {"hops": 0}, {"hops": 3}], "state": "succeeded", "result": 1}
