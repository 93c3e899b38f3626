"""What `chalice deploy --stage dev` creates, function by function."""

from __future__ import annotations

import json
from typing import Any

import pytest
from deployment import FILLED_IN, Project

FUNCTIONS = {
    "bide-dev": ("app.app", 29, 512),
    "bide-dev-tick": ("app.tick", 10, 512),
    "bide-dev-wake_by_queue": ("app.wake_by_queue", 10, 512),
    "bide-dev-wake_by_stream": ("app.wake_by_stream", 10, 512),
    "bide-dev-drain": ("app.drain", 900, 1024),
}
"""Handler, timeout in seconds and memory in MB."""


def function(deployed: Project, name: str) -> dict[str, Any]:
    found: dict[str, Any] = deployed.aws.client("lambda").get_function(FunctionName=name)
    return found


def test_there_are_these_functions_and_no_others(deployed: Project) -> None:
    found = deployed.aws.client("lambda").list_functions()["Functions"]
    assert {f["FunctionName"] for f in found} == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_its_handler_time_and_memory(deployed: Project, name: str) -> None:
    found = function(deployed, name)["Configuration"]
    assert (found["Handler"], found["Timeout"], found["MemorySize"]) == FUNCTIONS[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_the_variables_of_the_stage(deployed: Project, name: str) -> None:
    variables = function(deployed, name)["Configuration"]["Environment"]["Variables"]
    assert variables == deployed.config["stages"]["dev"]["environment_variables"]
    assert variables.items() >= FILLED_IN.items()
    assert variables["BIDE_DRAIN_FUNCTION"] == "bide-dev-drain"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_the_api_has_concurrency_of_its_own(deployed: Project, name: str) -> None:
    reserved = function(deployed, name).get("Concurrency", {}).get("ReservedConcurrentExecutions")
    assert reserved == (20 if name == "bide-dev" else None)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_a_role_with_the_policy_of_the_file_and_nothing_else(
    deployed: Project, name: str
) -> None:
    iam = deployed.aws.client("iam")
    role = function(deployed, name)["Configuration"]["Role"].rpartition("/")[2]
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    assert document == json.loads((deployed.folder / ".chalice" / "policy-dev.json").read_text())
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []


def test_the_tick_runs_once_a_minute_and_nothing_else_is_scheduled(deployed: Project) -> None:
    events = deployed.aws.client("events")
    (rule,) = events.list_rules()["Rules"]
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 minute)", "ENABLED")
    (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert target["Arn"] == function(deployed, "bide-dev-tick")["Configuration"]["FunctionArn"]


def test_the_schedule_may_call_the_tick(deployed: Project) -> None:
    policy = json.loads(deployed.aws.client("lambda").get_policy(FunctionName="bide-dev-tick")["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Action"] == "lambda:InvokeFunction"


def mappings(deployed: Project, name: str) -> list[dict[str, Any]]:
    """The sources of a function."""
    arn = function(deployed, name)["Configuration"]["FunctionArn"]
    found: list[dict[str, Any]] = deployed.aws.client("lambda").list_event_source_mappings(FunctionName=arn)[
        "EventSourceMappings"
    ]
    return found


@pytest.mark.parametrize(
    ("name", "source", "batch"),
    [
        ("bide-dev-wake_by_queue", "arn:aws:sqs:eu-central-1:123456789012:bide-dev-wake", 10),
        ("bide-dev-wake_by_stream", "arn:aws:kinesis:eu-central-1:123456789012:stream/bide-dev-wake", 100),
    ],
)
def test_a_trigger_has_its_source(deployed: Project, name: str, source: str, batch: int) -> None:
    (mapping,) = mappings(deployed, name)
    assert (mapping["EventSourceArn"], mapping["BatchSize"]) == (source, batch)
    assert mapping["State"] == "Enabled"


@pytest.mark.parametrize("name", ["bide-dev", "bide-dev-tick", "bide-dev-drain"])
def test_other_functions_have_no_source(deployed: Project, name: str) -> None:
    assert mappings(deployed, name) == []


def methods(deployed: Project) -> dict[str, dict[str, Any]]:
    """Methods of each path of the API."""
    gateway = deployed.aws.client("apigateway")
    (api,) = gateway.get_rest_apis()["items"]
    found = gateway.get_resources(restApiId=api["id"], limit=500, embed=["methods"])["items"]
    return {resource["path"]: resource.get("resourceMethods", {}) for resource in found}


def test_the_gateway_has_each_route_of_the_app_with_each_of_its_methods(deployed: Project) -> None:
    from app import app

    found = methods(deployed)
    for path, routes in app.routes.items():
        assert set(routes) <= set(found[path]), path
    assert {path for path, there in found.items() if there} == set(app.routes)


def test_each_route_leads_to_the_api_function(deployed: Project) -> None:
    gateway = deployed.aws.client("apigateway")
    (api,) = gateway.get_rest_apis()["items"]
    arn = function(deployed, "bide-dev")["Configuration"]["FunctionArn"]
    resources = gateway.get_resources(restApiId=api["id"], limit=500)["items"]
    looked_at = 0
    for resource in resources:
        for method in resource.get("resourceMethods", {}):
            integration = gateway.get_integration(
                restApiId=api["id"], resourceId=resource["id"], httpMethod=method
            )
            assert integration["type"] == "aws_proxy"
            assert f"/functions/{arn}/invocations" in integration["uri"]
            looked_at += 1
    assert looked_at > 20


def test_the_api_is_on_the_air_under_its_stage(deployed: Project) -> None:
    gateway = deployed.aws.client("apigateway")
    (api,) = gateway.get_rest_apis()["items"]
    (stage,) = gateway.get_stages(restApiId=api["id"])["item"]
    assert stage["stageName"] == "api"
    assert deployed.deployed["rest_api"]["rest_api_url"].endswith(".amazonaws.com/api/")
