"""The copy that MODE=lambda deploys."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from stack_process import Package

from local import lambda_project
from local.lambda_project import DeploymentFailed, LambdaProject

CONFIG = {
    "version": "2.0",
    "app_name": "bide",
    "subnet_ids": ["subnet-1"],
    "environment_variables": {"BIDE_REDIS_URL": "rediss://cache.example:6379/0"},
    "stages": {
        "dev": {
            "security_group_ids": ["sg-1"],
            "api_gateway_custom_domain": {"domain_name": "api.example"},
            "environment_variables": {"BIDE_API_KEY_HASHES": "a" * 64},
            "lambda_functions": {
                "api_handler": {"reserved_concurrency": 20, "subnet_ids": ["subnet-2"]},
                "drain": {"lambda_timeout": 900, "environment_variables": {"A": "b"}},
            },
        },
        "prod": {},
    },
}


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small clone, whose stage has been filled in and deployed to AWS."""
    folder = tmp_path / "clone"
    for name in ("bide", "vendor", ".chalice/deployed"):
        (folder / name).mkdir(parents=True)
    (folder / "vendor" / "bide").symlink_to(Path("..") / "bide")
    for name in ("app.py", "requirements.txt", "bide/store.py", "README.md", ".chalice/policy-dev.json"):
        (folder / name).write_text(name)
    (folder / ".chalice" / "config.json").write_text(json.dumps(CONFIG))
    (folder / ".chalice" / "deployed" / "dev.json").write_text("{}")
    monkeypatch.setattr(lambda_project, "ROOT", folder)
    return folder


def config_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / ".chalice" / "config.json").read_text())
    return found


@pytest.mark.usefixtures("clone")
def test_it_names_nothing_that_is_in_aws_alone(tmp_path: Path) -> None:
    copy = tmp_path / "data" / "project"
    LambdaProject(copy, ()).copy({"BIDE_PREFIX": "mine"}, None)
    config = config_of(copy)
    assert config["stages"] == {
        "dev": {
            "environment_variables": {"BIDE_PREFIX": "mine"},
            "lambda_functions": {
                "api_handler": {"reserved_concurrency": 20},
                "drain": {"lambda_timeout": 900},
            },
        }
    }
    assert config.keys() == {"version", "app_name", "stages"}
    assert (copy / ".chalice" / "policy-dev.json").exists()
    assert not (copy / ".chalice" / "deployed").exists()
    assert not (copy / "README.md").exists()


@pytest.mark.usefixtures("clone")
def test_the_concurrency_of_the_api_can_be_set(tmp_path: Path) -> None:
    copy = tmp_path / "data" / "project"
    LambdaProject(copy, ()).copy({}, 8)
    assert config_of(copy)["stages"]["dev"]["lambda_functions"]["api_handler"]["reserved_concurrency"] == 8


def test_the_clone_stays_as_it_is(clone: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in clone.rglob("*")}
    LambdaProject(tmp_path / "data" / "project", ()).copy({"BIDE_PREFIX": "mine"}, 8)
    assert {path: path.stat().st_mtime_ns for path in clone.rglob("*")} == before


def test_a_later_copy_has_what_was_changed_and_not_what_was_deleted(clone: Path, tmp_path: Path) -> None:
    copy = tmp_path / "data" / "project"
    project = LambdaProject(copy, ())
    (clone / "bide" / "gone.py").touch()
    project.copy({}, None)
    packages = copy / ".chalice" / "deployments"
    packages.mkdir()
    (packages / "built.zip").touch()
    (clone / "bide" / "gone.py").unlink()
    (clone / "bide" / "store.py").write_text("changed")
    project.copy({}, None)
    assert (copy / "vendor" / "bide" / "store.py").read_text() == "changed"
    assert not (copy / "bide" / "gone.py").exists()
    assert project.zips == [packages / "built.zip"]


@pytest.mark.usefixtures("clone")
def test_packages_of_tasks_come_along_from_wherever_they_are(
    tmp_path: Path, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    package.save("mine", "")
    (tmp_path / "single.py").touch()
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    copy = tmp_path / "data" / "project"
    LambdaProject(copy, (f"{package.name}.mine", "single", "nowhere_to_be_found")).copy({}, None)
    assert (copy / "vendor" / package.name / "mine.py").exists()
    assert (copy / "vendor" / "single.py").exists()
    assert {path.name for path in (copy / "vendor").iterdir()} == {"bide", package.name, "single.py"}


def test_elsewhere_than_on_lambdas_machine_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with pytest.raises(DeploymentFailed, match="Linux on x86_64; this is Darwin"):
        LambdaProject(tmp_path, ())
