"""The deployment package: what `chalice package` makes holds the product, all of it, and little else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prefixes import new_prefix
from proxy_events import IN_A_SCRIPT

ROOT = Path(__file__).parents[2]
WHEELHOUSE = ROOT / ".venv" / "wheelhouse"
"""Wheels that the installation has put by, for machines without a network."""

MAX_ZIP_BYTES = 3_000_000

STAGES = sorted(json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"])

_LEFT_OUT = (
    ".git",
    ".venv",
    ".bide",
    "__pycache__",
    "*.pyc",
    ".*_cache",
    ".hypothesis",
    "deployments",
    "deployed",
)


class Package(NamedTuple):
    """What `chalice package` made: the zip, what it holds, the template, and the zip unpacked."""

    file: Path
    names: frozenset[str]
    template: dict[str, Any]
    folder: Path


def _make(stage: str, directory: Path) -> Package:
    # A copy: packaging writes into the project, and bytecode of the project would get into the zip.
    project, out, folder = directory / "project", directory / "out", directory / "folder"
    shutil.copytree(ROOT, project, symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("BIDE_", "AWS_", "PIP_"))
    }
    environment |= {"AWS_DEFAULT_REGION": "eu-central-1", "PYTHONDONTWRITEBYTECODE": "1"}
    if WHEELHOUSE.is_dir():
        environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(WHEELHOUSE)}
    command = [sys.executable, "-c", "import sys; from chalice.cli import main; sys.exit(main())"]
    done = subprocess.run(
        [*command, "package", "--stage", stage, str(out)],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Could not install dependencies" not in done.stdout + done.stderr
    file = out / "deployment.zip"
    with zipfile.ZipFile(file) as opened:
        names = frozenset(opened.namelist())
        opened.extractall(folder)
    return Package(file, names, json.loads((out / "sam.json").read_text()), folder)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The package of the stage dev."""
    return _make("dev", tmp_path_factory.mktemp("package"))


def _python(package: Package, script: str, **environment: str) -> str:
    """The last line that the script prints, with nothing but the package and the standard library."""
    start = f"import sys; sys.path.insert(0, {str(package.folder)!r})\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", start + script],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=package.file.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]  # Chalice logs to standard output, too


def _functions(package: Package) -> dict[str, dict[str, Any]]:
    resources = package.template["Resources"]
    return {
        name: resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def _sources(folder: str, *suffixes: str) -> set[str]:
    paths = (path for path in (ROOT / folder).rglob("*") if path.suffix in suffixes)
    return {str(path.relative_to(ROOT)) for path in paths}


def test_the_zip_is_small(package: Package) -> None:
    size = package.file.stat().st_size
    print(f"deployment.zip: {size:,} of {MAX_ZIP_BYTES:,} bytes, {len(package.names)} files")
    assert size < MAX_ZIP_BYTES


@pytest.mark.parametrize("folder", ["bide", "chalice_app", "workers"])
def test_the_zip_holds_every_source_of_ours(package: Package, folder: str) -> None:
    sources = _sources(folder, ".py", ".lua", ".md")
    assert sources
    assert sources <= package.names


def test_the_zip_holds_the_scripts_of_the_store_and_the_docs_as_text(package: Package) -> None:
    assert "bide/lua/submit.lua" in package.names
    docs = (package.folder / "chalice_app" / "http-api.md").read_text(encoding="utf-8")
    assert docs == (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8")


def test_the_zip_holds_what_is_required_at_run_time(package: Package) -> None:
    folders = {name.partition("/")[0] for name in package.names}
    assert {"hiredis", "msgspec", "requests"} <= folders
    assert {name for name in package.names if name.startswith("chalice/")} == {
        "chalice/app.py",
        "chalice/__init__.py",
    }


def test_the_zip_holds_nothing_else_of_the_project(package: Package) -> None:
    folders = {name.partition("/")[0] for name in package.names}
    assert not folders & {"boto3", "botocore", "tests", "local", "bench", "bide_client", "docs", "vendor"}
    assert not [name for name in package.names if "__pycache__" in name or name.endswith(".pyc")]


def test_every_handler_of_the_template_can_be_imported_from_the_zip(package: Package) -> None:
    functions = _functions(package)
    handlers = sorted({properties["Handler"] for properties in functions.values()})
    print("handlers:", ", ".join(handlers))
    assert handlers == ["app.app", "app.drain", "app.tick", "app.wake_by_queue"]
    script = (
        "import importlib, json\n"
        f"for handler in {handlers!r}:\n"
        "    module, _, name = handler.rpartition('.')\n"
        "    assert callable(getattr(importlib.import_module(module), name)), handler\n"
        "import app, bide, chalice_app, workers\n"
        "print(json.dumps([m.__file__ for m in (app, bide, chalice_app, workers)]))\n"
    )
    for file in json.loads(_python(package, script)):
        assert Path(file).is_relative_to(package.folder)


def test_every_route_is_in_the_template_with_every_method(package: Package) -> None:
    paths = package.template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    assert {"/v1/tasks", "/v1/tasks/{id}", "/healthz", "/{proxy+}"} <= set(paths)
    for path, methods in paths.items():
        assert set(methods) == {"delete", "get", "head", "options", "patch", "post", "put"}, path


_SUBMIT = (
    IN_A_SCRIPT
    + """
import json, time
began = time.perf_counter()
from app import app
imported = time.perf_counter()
accepted = app(ECHO, None)
answered = time.perf_counter()
id = json.loads(accepted["body"]).get("id", "")
shown = app(show(id), None)
print(json.dumps({
    "statuses": [accepted["statusCode"], shown["statusCode"]],
    "location": accepted["headers"].get("Location"),
    "code": json.loads(accepted["body"]).get("code"),
    "loaded": sorted(sys.modules),
    "import_ms": round((imported - began) * 1000),
    "first_answer_ms": round((answered - began) * 1000),
}))
"""
)


def test_a_task_can_be_submitted_by_nothing_but_the_zip(package: Package, store_url: str) -> None:
    digest = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"  # of "key"
    prefix = new_prefix()
    variables = {"BIDE_REDIS_URL": store_url, "BIDE_API_KEY_HASHES": digest, "BIDE_PREFIX": prefix}
    report = json.loads(_python(package, _SUBMIT, **variables))
    print(f"import {report['import_ms']} ms, first answer {report['first_answer_ms']} ms, not compiled")
    assert report["statuses"] == [202, 200]
    assert report["location"].startswith("/api/v1/tasks/default~")
    unneeded = {"boto3", "botocore", "requests", "urllib3", "chalice_app.openapi"}
    assert not unneeded & set(report["loaded"])


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_as_shipped_says_what_to_set(package: Package, stage: str) -> None:
    variables = json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"][stage][
        "environment_variables"
    ]
    report = json.loads(_python(package, _SUBMIT, **variables))
    assert (report["statuses"], report["code"]) == ([503, 503], "NOT_CONFIGURED")


def test_the_function_has_the_settings_of_the_stage(package: Package) -> None:
    properties = _functions(package)["APIHandler"]
    assert properties["Timeout"] == 29
    assert properties["MemorySize"] == 512
    assert properties["Environment"]["Variables"]["BIDE_PREFIX"] == "bide-dev"
    assert properties["Runtime"] == f"python{sys.version_info.major}.{sys.version_info.minor}"


def test_the_policy_of_each_function_is_the_file_verbatim(package: Package) -> None:
    roles = [r for r in package.template["Resources"].values() if r["Type"] == "AWS::IAM::Role"]
    assert len(roles) == len(_functions(package))
    for role in roles:
        (policy,) = role["Properties"]["Policies"]
        assert policy["PolicyDocument"] == json.loads((ROOT / ".chalice" / "policy-dev.json").read_text())
