"""`make deploy`: Chalice's deployment, and what keeps chains of workers alive."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from deployment import Project

from local.aws.running import RunningAws
from local.deploy import main
from local.loop import Loop

LOOP = ("drain", "tick", "wake_by_queue", "wake_by_stream")


@pytest.fixture
def lambda_client(aws: RunningAws) -> Any:
    return aws.client("lambda")


@pytest.fixture
def loop(deployed: Project, lambda_client: Any) -> Iterator[Loop]:
    """The loop of the deployed stage, set; and set again for the next test."""
    found = Loop(lambda_client, {name: deployed.deployed[name]["lambda_arn"] for name in LOOP})
    found.set()
    yield found
    found.set()


def test_each_function_of_the_loop_may_call_itself_for_ever(
    deployed: Project, loop: Loop, lambda_client: Any
) -> None:
    for name in LOOP:
        found = lambda_client.get_function_recursion_config(FunctionName=f"bide-dev-{name}")
        assert found["RecursiveLoop"] == "Allow", name
    api = lambda_client.get_function_recursion_config(FunctionName="bide-dev")
    assert api["RecursiveLoop"] == "Terminate"


@pytest.mark.parametrize("name", ["drain", "tick"])
def test_a_call_that_failed_or_waited_too_long_is_not_made_again(
    loop: Loop, lambda_client: Any, name: str
) -> None:
    found = lambda_client.get_function_event_invoke_config(FunctionName=f"bide-dev-{name}")
    assert (found["MaximumRetryAttempts"], found["MaximumEventAgeInSeconds"]) == (0, 60)


def test_a_record_that_failed_holds_up_no_shard(loop: Loop, lambda_client: Any) -> None:
    mappings = lambda_client.list_event_source_mappings()["EventSourceMappings"]
    (mapping,) = [found for found in mappings if ":kinesis:" in found["EventSourceArn"]]
    assert (mapping["MaximumRetryAttempts"], mapping["MaximumRecordAgeInSeconds"]) == (0, 60)


def test_a_loop_that_is_set_has_no_problem(loop: Loop) -> None:
    assert loop.problems() == []


@pytest.mark.parametrize("name", LOOP)
def test_each_function_that_would_break_the_loop_is_a_problem(
    loop: Loop, lambda_client: Any, name: str
) -> None:
    lambda_client.put_function_recursion_config(FunctionName=f"bide-dev-{name}", RecursiveLoop="Terminate")
    (problem,) = loop.problems()
    assert problem.startswith(f"{name}: RecursiveLoop is Terminate")


def test_retries_that_were_set_otherwise_are_a_problem(loop: Loop, lambda_client: Any) -> None:
    lambda_client.delete_function_event_invoke_config(FunctionName="bide-dev-drain")
    lambda_client.put_function_event_invoke_config(FunctionName="bide-dev-drain", MaximumRetryAttempts=2)
    assert loop.problems() == [
        "drain: MaximumRetryAttempts is 2, not 0.",
        "drain: MaximumEventAgeInSeconds is None, not 60.",
    ]
    lambda_client.delete_function_event_invoke_config(FunctionName="bide-dev-drain")


def test_make_deploy_deploys_and_sets_the_loop(project: Project) -> None:
    done = project.deploy("--stage", "dev")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "dev is deployed: https://" in done.stdout
    client = project.aws.client("lambda")
    for name in ("drain", "tick", "wake_by_queue"):
        found = client.get_function_recursion_config(FunctionName=f"bide-dev-{name}")
        assert found["RecursiveLoop"] == "Allow", name

    (project.folder / ".chalice" / "deployed" / "dev.json").unlink()
    refused = project.deploy("--stage", "dev")
    assert refused.returncode == 1
    assert "bide-dev is there, but not .chalice/deployed/dev.json" in refused.stderr
    apis = project.aws.client("apigateway").get_rest_apis
    assert len(apis()["items"]) == 1

    anew = project.deploy("--stage", "dev", "--new-api")
    assert anew.returncode == 0, anew.stdout + anew.stderr
    assert len(apis()["items"]) == 2


def test_make_deploy_fails_where_a_chain_of_workers_would_break(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where someone may deploy, but not change these settings."""
    for name, value in {**project.aws.environ, "PYTHONDONTWRITEBYTECODE": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Loop, "set", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["deploy", "--project", str(project.folder)])
    assert main() == 1
    said = capsys.readouterr().err
    assert said.startswith("deploy: Deployed, but workers would get lost:\n")
    for name in ("drain", "tick", "wake_by_queue"):
        assert f"  {name}: RecursiveLoop is Terminate, so that Lambda ends chains of workers." in said
    assert "  drain: MaximumRetryAttempts is None, not 0." in said


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"BIDE_API_KEY_HASHES": ""}, "BIDE_API_KEY_HASHES is not set"),
        ({"BIDE_WAKE_QUEUE": "bide-none"}, "There is no SQS queue bide-none, which BIDE_WAKE_QUEUE names."),
        (
            {"BIDE_WAKE_STREAM": "bide-none"},
            "There is no Kinesis stream bide-none, which BIDE_WAKE_STREAM names.",
        ),
    ],
)
def test_make_deploy_changes_nothing_where_something_is_not_there(
    project: Project, variables: dict[str, str], said: str
) -> None:
    project.set(**variables)
    done = project.deploy()
    assert done.returncode == 1
    assert done.stderr.startswith("deploy: Nothing was changed:\n")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert project.aws.client("lambda").list_functions()["Functions"] == []


def test_make_deploy_of_a_stage_that_is_not_there_names_those_that_are(project: Project) -> None:
    done = project.deploy("--stage", "test")
    assert (done.returncode, done.stderr) == (
        1,
        "deploy: .chalice/config.json has no stage test; it has dev, prod.\n",
    )
