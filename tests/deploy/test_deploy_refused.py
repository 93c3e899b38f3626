"""A deployment that lacks what it cannot do without is refused, before anything is created."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from deployment import DIGEST, FILLED_IN, ROOT, Project

from chalice_app.deployable import lacking

STAGES = sorted(json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"])


def refused(project: Project, *command: str) -> str:
    """What Chalice said; it has created nothing and shown no traceback."""
    done = project.chalice(*(command or ("deploy", "--stage", "dev")))
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.startswith("Not deployed. In .chalice/config.json")
    assert project.aws.client("lambda").list_functions()["Functions"] == []
    assert project.aws.client("iam").list_roles()["Roles"] == []
    return done.stderr


@pytest.mark.parametrize("variable", FILLED_IN)
def test_each_variable_that_is_not_set_is_named(project: Project, variable: str) -> None:
    project.set(**{variable: ""})
    said = refused(project)
    assert f"{variable} is not set" in said
    assert [other for other in FILLED_IN if other != variable and other in said] == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_as_shipped_says_all_that_is_to_be_set(project: Project, stage: str) -> None:
    project.write(json.loads((ROOT / ".chalice" / "config.json").read_text()))
    said = refused(project, "deploy", "--stage", stage)
    assert "BIDE_REDIS_URL is not set: say where the store is, as rediss://host:6379/0" in said
    assert "BIDE_API_KEY_HASHES is not set: say who may call" in said


def test_a_value_that_cannot_be_read_is_named_and_a_secret_is_not_shown(project: Project) -> None:
    project.set(BIDE_REDIS_URL="redis://:hunter2#x@host", BIDE_CONCURRENCY="many", BIDE_DRAIN_FUNCTION="")
    said = refused(project)
    assert "BIDE_CONCURRENCY must be a whole number" in said
    assert "BIDE_DRAIN_FUNCTION is not set: BIDE_WAKE=invoke needs it" in said
    assert "BIDE_REDIS_URL cannot be read" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("variables", "problems"),
    [
        (FILLED_IN, 0),
        ({**FILLED_IN, "BIDE_LOCAL": "1"}, 1),
        ({}, 2),
        ({"BIDE_API_KEY_HASHES": f"acme={DIGEST}"}, 1),
        ({"BIDE_OPERATOR_KEY_HASHES": DIGEST}, 1),
    ],
)
def test_what_a_deployment_lacks_is_told_apart(variables: dict[str, str], problems: int) -> None:
    assert len(lacking(variables)) == problems


def test_outside_of_a_deployment_the_app_is_imported_whatever_is_set() -> None:
    """In Lambda it then answers 503 and says what to set."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BIDE_")}
    subprocess.run(
        [sys.executable, "-c", "import app"],
        cwd=ROOT,
        env={**environment, "AWS_CHALICE_CLI_MODE": "true", "BIDE_WAKE": "sqs"},
        check=True,
        timeout=60,
    )
