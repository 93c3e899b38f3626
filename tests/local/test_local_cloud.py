"""The demo's cloud: instances that take their time, some that fail, and a count of what it was asked."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from bide.worker.throttle import throttled
from local import ports
from local.children import Role, spawn
from local.cloud_calls import Call, Known
from local.cloud_instances import Fates
from local.demo_tasks import vms
from local.demo_vms import REGION, Ledger
from local.signing import AccessKey, Scope


@dataclass(frozen=True)
class RunningCloud:
    """A cloud in a process of its own."""

    url: str
    key: AccessKey

    def client(self) -> Any:
        """An EC2 client that asks once and never again."""
        return boto3.client(
            "ec2",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=self.key.id,
            aws_secret_access_key=self.key.secret,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def calls(self, action: str) -> list[Call]:
        return [call for call in Ledger.of(self.url, self.key).calls if call.action == action]

    def instances(self) -> Mapping[str, Known]:
        return Ledger.of(self.url, self.key).instances


@pytest.fixture
def cloud() -> Iterator[Callable[..., RunningCloud]]:
    """Starts clouds that end with the test."""
    with asyncio.Runner() as runner:
        children = []

        def begin(*arguments: str) -> RunningCloud:
            key = AccessKey.new()
            with ports.listen(ports.free_port()) as listener:
                role = Role("cloud", ("--socket", str(listener.fileno()), *arguments), (listener.fileno(),))
                url = f"http://{ports.LOOPBACK}:{listener.getsockname()[1]}"
                child = runner.run(spawn(role, {**os.environ, **key.environ}))
            following = runner.get_loop().create_task(child.follow(lambda *_: None))
            children.append((child, following))
            runner.run(asyncio.wait_for(child.ready.wait(), 60))
            assert child.serves
            return RunningCloud(url, key)

        yield begin
        for child, following in children:
            child.signal(signal.SIGTERM)
            runner.run(asyncio.wait_for(following, 10))


def run_instance(client: Any, token: str) -> str:
    answer = client.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1, ClientToken=token)
    instance: str = answer["Instances"][0]["InstanceId"]
    return instance


def described(client: Any, *ids: str) -> dict[str, dict[str, Any]]:
    answer = client.describe_instances(InstanceIds=list(ids))
    return {
        instance["InstanceId"]: instance
        for group in answer["Reservations"]
        for instance in group["Instances"]
    }


def settled(client: Any, *ids: str) -> dict[str, dict[str, Any]]:
    """These instances, once none of them is pending any more."""
    while True:
        shown = described(client, *ids)
        if all(instance["State"]["Name"] != "pending" for instance in shown.values()):
            return shown


def test_an_instance_is_pending_then_runs_at_the_address_that_the_cloud_knows(
    cloud: Callable[..., RunningCloud],
) -> None:
    running = cloud("--pending", "1", "1")
    client = running.client()
    instance = run_instance(client, "one")
    assert described(client, instance)[instance]["State"]["Name"] == "pending"
    shown = settled(client, instance)[instance]
    assert shown["State"]["Name"] == "running"
    assert running.instances()[instance].address == shown["PublicIpAddress"]


def test_an_instance_that_fails_ends_terminated_with_the_reason(cloud: Callable[..., RunningCloud]) -> None:
    client = cloud("--pending", "0.1", "0.1", "--failing-every", "3").client()
    ids = [run_instance(client, f"token-{number}") for number in range(6)]
    shown = settled(client, *ids)
    states = [shown[id]["State"]["Name"] for id in ids]
    assert states == ["running", "running", "terminated"] * 2
    assert shown[ids[2]]["StateReason"]["Code"] == "Server.InternalError"


def test_the_same_token_gives_the_same_instance(cloud: Callable[..., RunningCloud]) -> None:
    running = cloud("--pending", "0", "0")
    client = running.client()
    first = run_instance(client, "one")
    assert run_instance(client, "one") == first
    assert run_instance(client, "two") != first
    assert {known.token for known in running.instances().values()} == {"one", "two"}
    assert len(running.calls("RunInstances")) == 3


def test_a_hundred_instances_are_described_by_one_call_which_is_counted(
    cloud: Callable[..., RunningCloud],
) -> None:
    running = cloud("--pending", "60", "60")
    client = running.client()
    ids = [run_instance(client, f"token-{number}") for number in range(100)]
    assert described(client, *ids).keys() == set(ids)
    (call,) = running.calls("DescribeInstances")
    assert sorted(call.ids) == sorted(ids)
    assert call.status == 200


def test_an_unknown_instance_is_refused_by_name(cloud: Callable[..., RunningCloud]) -> None:
    client = cloud().client()
    known = run_instance(client, "one")
    with pytest.raises(ClientError, match="i-0123456789abcdef0") as refused:
        described(client, known, "i-0123456789abcdef0")
    assert refused.value.response["Error"]["Code"] == "InvalidInstanceID.NotFound"


def test_the_task_hands_a_throttle_to_the_poller_instead_of_asking_again(
    cloud: Callable[..., RunningCloud], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = cloud("--throttle-every", "2", "--pending", "60", "60")
    for name, value in {
        "AWS_ENDPOINT_URL": running.url,
        "AWS_ENDPOINT_URL_EC2": running.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        **running.key.environ,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the key of who used boto3 here before
    vms._make_client.cache_clear()
    try:
        instance = vms.start_vm("ami-1", "t3.micro", token="one")
        vms.vm_addresses([instance])
        with pytest.raises(ClientError) as refused:
            vms.vm_addresses([instance])
    finally:
        vms._make_client.cache_clear()
    assert throttled(refused.value) is not None
    assert [call.status for call in running.calls("DescribeInstances")] == [200, 503]


@pytest.mark.parametrize("path", ["/", "/_calls", "/_instances"])
def test_who_has_no_key_and_a_page_are_refused(cloud: Callable[..., RunningCloud], path: str) -> None:
    running = cloud()
    method = "POST" if path == "/" else "GET"
    url = f"{running.url}{path}"
    signed = dict(running.key.signed(Scope("ec2", REGION), method, url))
    stranger = dict(AccessKey.new().signed(Scope("ec2", REGION), method, url))
    page = {"Origin": "http://localhost:3000"}
    for headers in ({}, page, stranger, {**signed, **page}, {**signed, "Host": "rebound.example"}):
        assert requests.request(method, url, headers=headers, timeout=30).status_code == 403
    assert running.calls("") == [], "nothing of it has reached the cloud"


def test_the_fate_of_an_instance_depends_on_its_number_and_the_seed_alone() -> None:
    fates = [Fates(seed=7).of(number) for number in range(100)]
    assert fates == [Fates(seed=7).of(number) for number in range(100)]
    assert fates != [Fates(seed=8).of(number) for number in range(100)]
    assert all(10 <= fate.pending <= 20 for fate in fates)
    assert sum(fate.fails for fate in fates) == 2
