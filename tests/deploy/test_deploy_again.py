"""A second deployment changes what is there; a deletion leaves nothing."""

from __future__ import annotations

from typing import Any

from deployment import Project


def everything(project: Project) -> dict[str, list[Any]]:
    """Names of all that there is."""
    aws = project.aws
    return {
        "functions": [f["FunctionName"] for f in aws.client("lambda").list_functions()["Functions"]],
        "roles": [role["RoleName"] for role in aws.client("iam").list_roles()["Roles"]],
        "rules": [rule["Name"] for rule in aws.client("events").list_rules()["Rules"]],
        "apis": [api["id"] for api in aws.client("apigateway").get_rest_apis()["items"]],
        "mappings": [
            mapping["UUID"]
            for mapping in aws.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        ],
    }


def test_a_stage_is_deployed_deployed_again_and_deleted(project: Project) -> None:
    first = project.chalice("deploy", "--stage", "dev")
    assert first.returncode == 0, first.stdout + first.stderr
    created = everything(project)
    assert [len(found) for found in created.values()] == [4, 4, 1, 1, 1]

    config = project.config
    config["stages"]["dev"]["lambda_functions"]["api_handler"]["lambda_memory_size"] = 2048
    config["stages"]["dev"]["environment_variables"]["BIDE_CONCURRENCY"] = "50"
    project.write(config)
    second = project.chalice("deploy", "--stage", "dev")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "Creating Rest API" in first.stdout
    assert "Updating rest API" in second.stdout
    assert everything(project) == created
    found = project.aws.client("lambda").get_function(FunctionName="bide-dev")
    assert found["Configuration"]["MemorySize"] == 2048
    assert found["Configuration"]["Environment"]["Variables"]["BIDE_CONCURRENCY"] == "50"
    assert found["Concurrency"] == {"ReservedConcurrentExecutions": 20}

    project.set(BIDE_REDIS_URL="", BIDE_API_KEY_HASHES="")  # what is not complete can be deleted all the same
    deleted = project.chalice("delete", "--stage", "dev")
    assert deleted.returncode == 0, deleted.stdout + deleted.stderr
    assert everything(project) == {kind: [] for kind in created}


def test_a_stage_without_a_queue_has_the_schedule_as_its_only_trigger(project: Project) -> None:
    project.set(BIDE_WAKE_QUEUE="")
    done = project.chalice("deploy", "--stage", "dev")
    assert done.returncode == 0, done.stdout + done.stderr
    found = everything(project)
    assert set(found["functions"]) == {"bide-dev", "bide-dev-tick", "bide-dev-drain"}
    assert found["mappings"] == []
