"""A stage's policy allows each call of AWS that the code makes, on what the stage names and nothing else."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import pytest
from chalice import constants
from deployment import ROOT

from bide.settings import Settings

CONFIG = json.loads((ROOT / ".chalice" / "config.json").read_text())
STAGES = list(CONFIG["stages"])
POLICIES = {stage: json.loads((ROOT / ".chalice" / f"policy-{stage}.json").read_text()) for stage in STAGES}
SOURCES = sorted(path for path in (ROOT / "workers").glob("*.py"))
ACTIONS = {"lambda:Invoke": "lambda:InvokeFunction"}
"""Actions that are not called like their operation."""


def calls(path: Path) -> Iterator[tuple[str, str]]:
    """Service and method of each call of a boto3 client, as `clients.get("sqs").send_message(...)`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        client = node.func.value
        if (
            isinstance(client, ast.Call)
            and isinstance(client.func, ast.Attribute)
            and client.func.attr == "get"
            and isinstance(client.args[0], ast.Constant)
        ):
            yield str(client.args[0].value), node.func.attr


def allowed(stage: str, action: str, arn: str) -> bool:
    for statement in POLICIES[stage]["Statement"]:
        resources = statement["Resource"]
        resources = [resources] if isinstance(resources, str) else resources
        if (
            statement["Effect"] == "Allow"
            and any(fnmatchcase(action, pattern) for pattern in statement["Action"])
            and any(fnmatchcase(arn, resource) for resource in resources)
        ):
            return True
    return False


def targets(stage: str) -> dict[str, str]:
    """ARN of what a stage names, by service."""
    settings = Settings.from_environ(CONFIG["stages"][stage]["environment_variables"])
    where = "eu-central-1:123456789012"
    return {
        "lambda": f"arn:aws:lambda:{where}:function:{settings.drain_function}",
        "sqs": f"arn:aws:sqs:{where}:{settings.wake_queue}",
        "kinesis": f"arn:aws:kinesis:{where}:stream/{settings.wake_stream or settings.wake_queue}",
    }


MADE = sorted({call for path in SOURCES for call in calls(path)})


def test_there_are_calls_to_look_at() -> None:
    assert {"lambda", "sqs", "kinesis"} == {service for service, _ in MADE}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("service", "method"), MADE)
def test_each_call_is_allowed_on_what_the_stage_names_and_on_nothing_of_another(
    stage: str, service: str, method: str
) -> None:
    client = boto3.client(service, region_name="eu-central-1")
    operation = f"{service}:{client.meta.method_to_api_mapping[method]}"
    action = ACTIONS.get(operation, operation)
    named = {other: allowed(stage, action, targets(other)[service]) for other in STAGES}
    assert named == {other: other == stage for other in STAGES}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_writes_the_logs_of_its_own_functions_alone(stage: str) -> None:
    for other in STAGES:
        for function in (f"bide-{other}", f"bide-{other}-drain"):
            group = f"arn:aws:logs:eu-central-1:1:log-group:/aws/lambda/{function}"
            assert allowed(stage, "logs:CreateLogGroup", group) == (other == stage)
            assert allowed(stage, "logs:CreateLogStream", f"{group}:*") == (other == stage)
            assert allowed(stage, "logs:PutLogEvents", f"{group}:log-stream:x") == (other == stage)


def test_the_policies_of_all_stages_are_alike() -> None:
    alike = {json.dumps(policy).replace(f"bide-{stage}", "bide-STAGE") for stage, policy in POLICIES.items()}
    assert len(alike) == 1


def test_no_stage_has_a_name_that_the_resources_of_another_begin_with() -> None:
    assert [a for a in STAGES for b in STAGES if b.startswith(f"{a}-")] == []


def statements(policy: Any) -> Iterator[str]:
    for statement in policy.get("Statement", [policy]):
        yield from [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


@pytest.mark.parametrize(
    ("policy", "arn"),
    [
        (constants.SQS_EVENT_SOURCE_POLICY, "arn:aws:sqs:eu-central-1:1:bide-{}-wake"),
        (constants.KINESIS_EVENT_SOURCE_POLICY, "arn:aws:kinesis:eu-central-1:1:stream/bide-{}-wake"),
        (constants.VPC_ATTACH_POLICY, "*"),
        (constants.CLOUDWATCH_LOGS, "arn:aws:logs:eu-central-1:1:log-group:/aws/lambda/bide-{}:*"),
    ],
    ids=["queue", "stream", "subnets", "logs"],
)
@pytest.mark.parametrize("stage", STAGES)
def test_what_lambda_itself_needs_for_a_function_is_allowed(policy: Any, arn: str, stage: str) -> None:
    actions = list(statements(policy))
    assert actions
    for action in actions:
        assert allowed(stage, action, arn.format(stage)), action


@pytest.mark.parametrize("policy", POLICIES.values(), ids=STAGES)
def test_nothing_is_allowed_on_everything_but_network_interfaces_and_the_list_of_streams(policy: Any) -> None:
    wide = {
        action
        for statement in policy["Statement"]
        if statement["Resource"] == "*"
        for action in statement["Action"]
    }
    assert {action for action in wide if not action.startswith("ec2:")} == {"kinesis:ListStreams"}
    assert not [action for action in statements(policy) if "*" in action]


def test_no_other_module_of_the_fleet_makes_a_client() -> None:
    """What is called through the fleet's clients is all that these functions call."""
    users = {path.name for path in SOURCES if re.search(r"boto3|botocore", path.read_text())}
    assert users == {"fleet.py"}


def test_no_task_that_is_deployed_calls_aws_or_needs_a_permission() -> None:
    shipped = sorted((ROOT / "workers" / "tasks").glob("*.py"))
    assert len(shipped) > 1
    assert [path.stem for path in shipped if re.search(r"boto3|requests", path.read_text())] == []
