"""AWS on loopback: it answers as Chalice and the deployment expect, and ends with whoever started it."""

from __future__ import annotations

import http.client
import json
import secrets
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from botocore.exceptions import ClientError
from deployment import ROOT, Project

from local.aws.running import REGION, RunningAws
from local.signing import Scope

_STARTS = """
import os, psutil, sys
from local.aws.running import running_aws
with running_aws() as aws:
    print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
    sys.stdin.read()
"""


def test_it_ends_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _STARTS], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    servers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    assert servers
    parent.kill()
    parent.communicate()
    _, alive = psutil.wait_procs(servers, timeout=60)
    assert alive == []


def test_a_message_is_left_to_whoever_polls_although_the_queue_has_a_trigger(deployed: Project) -> None:
    sqs = deployed.aws.client("sqs")
    url = sqs.get_queue_url(QueueName="bide-dev-wake")["QueueUrl"]
    body = json.dumps({"start": 0, "hops": 0})
    sqs.send_message(QueueUrl=url, MessageBody=body)
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    assert message["Body"] == body
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def test_a_function_ends_chains_until_it_is_told_otherwise(deployed: Project) -> None:
    client = deployed.aws.client("lambda")
    assert client.get_function_recursion_config(FunctionName="bide-dev")["RecursiveLoop"] == "Terminate"


@pytest.mark.parametrize(
    ("name", "loop", "code"),
    [("bide-dev", "Maybe", "InvalidParameterValueException"), ("none", "Allow", "ResourceNotFoundException")],
)
def test_a_recursion_setting_that_makes_no_sense_is_refused(
    deployed: Project, name: str, loop: str, code: str
) -> None:
    client: Any = deployed.aws.client("lambda")
    with pytest.raises(ClientError) as caught:
        client.put_function_recursion_config(FunctionName=name, RecursiveLoop=loop)
    assert caught.value.response["Error"]["Code"] == code


def test_rules_for_events_that_are_set_again_replace_the_first(deployed: Project) -> None:
    client = deployed.aws.client("lambda")
    for retries in (2, 1):
        client.put_function_event_invoke_config(FunctionName="bide-dev", MaximumRetryAttempts=retries)
        found = client.get_function_event_invoke_config(FunctionName="bide-dev")
        assert found["MaximumRetryAttempts"] == retries
    client.delete_function_event_invoke_config(FunctionName="bide-dev")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/moto-api/data.json"),
        ("GET", "/moto-api/reset"),
        ("POST", "/moto-api/config"),
        ("POST", "/moto-api/recorder/start-recording"),
        ("POST", "/moto-api/../moto-api/seed"),
    ],
)
def test_motos_own_api_is_there_to_forget_alone_even_with_the_key(
    aws: RunningAws, method: str, path: str
) -> None:
    status, body = _ask(aws, method, path, aws.key.signed(Scope("moto-api", REGION), method, aws.url + path))
    assert (status, b"all of moto's own API" in body) == (403, True)


def test_a_path_of_moto_is_no_way_around_the_service_that_is_signed_for(aws: RunningAws) -> None:
    headers = aws.key.signed(Scope("sqs", REGION), "POST", f"{aws.url}/moto-api/recorder/start-recording")
    assert _ask(aws, "POST", "/moto-api/recorder/start-recording", headers)[0] == 404


@pytest.mark.parametrize(
    "said", [("Content-Length", "70000001"), ("Content-Length", "x"), ("Transfer-Encoding", "chunked")]
)
def test_a_body_whose_end_is_not_known_is_not_read(aws: RunningAws, said: tuple[str, str]) -> None:
    headers = aws.key.signed(Scope("sqs", REGION), "POST", f"{aws.url}/", [], b"")
    assert _ask(aws, "POST", "/", [*headers, said])[0] == 403


def _ask(aws: RunningAws, method: str, path: str, headers: list[tuple[str, str]]) -> tuple[int, bytes]:
    """What is answered to a request whose headers are these, to the letter."""
    connection = http.client.HTTPConnection(urlsplit(aws.url).netloc, timeout=60)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_it_forgets_when_it_is_told_to(empty_aws: RunningAws) -> None:
    sqs = empty_aws.client("sqs")
    sqs.create_queue(QueueName=f"q-{secrets.token_hex(6)}")
    empty_aws.forget()
    assert sqs.list_queues().get("QueueUrls", []) == []
