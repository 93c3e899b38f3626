"""The tasks' side of a cloud: starts that can be repeated, one question for many instances."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.ec2.models import ec2_backends

from bide import Pending, Reject, Retry
from bide.worker.raised import describe, restore
from local.cloud_instances import Fates, Launches, install
from local.demo_tasks import vms


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hand]:
    """The clock of a cloud whose instances are pending for 10 s, and of which every third fails."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(ec2_backends, "backend", ec2_backends.backend)
    hand = Hand()
    vms._make_client.cache_clear()
    with mock_aws():
        install(Launches(Fates(10, 10, failing_every=3), hand))
        yield hand
    vms._make_client.cache_clear()


def start(count: int) -> list[str]:
    return [vms.start_vm("ami-1", "t3.micro", token=f"token-{number}") for number in range(count)]


def described() -> list[list[str]]:
    """A list that gets the ids of each DescribeInstances from now on."""
    asked: list[list[str]] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        body = params["body"]
        asked.append([value for name, value in body.items() if name.startswith("InstanceId.")])

    vms._ec2().meta.events.register("before-call.ec2.DescribeInstances", note)
    return asked


def test_an_instance_that_starts_is_pending(clock: Hand) -> None:
    (instance,) = start(1)
    assert vms.vm_addresses([instance]) == {instance: Pending}


def test_an_instance_that_runs_has_its_address(clock: Hand) -> None:
    (instance,) = start(1)
    clock.now = 10
    shown = vms._ec2().describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert vms.vm_addresses([instance]) == {instance: shown["PublicIpAddress"]}


def test_an_instance_without_a_public_address_has_its_private_one() -> None:
    shown = {"InstanceId": "i-01", "State": {"Name": "running"}, "PrivateIpAddress": "10.0.0.7"}
    assert vms._address(shown) == "10.0.0.7"


def test_an_instance_that_failed_is_an_error_with_its_name_and_reason(clock: Hand) -> None:
    ids = start(3)
    clock.now = 10
    error = vms.vm_addresses(ids)[ids[2]]
    assert isinstance(error, vms.LaunchFailed)
    assert str(error) == f"{ids[2]} is terminated: Server.InternalError: Internal error on launch"


def test_a_launch_that_failed_is_not_tried_again_even_from_the_journal() -> None:
    error = vms.LaunchFailed("i-01 is terminated: no reason given")
    kept = restore(describe(error))
    assert isinstance(kept, vms.LaunchFailed)
    assert isinstance(kept, Reject)
    assert str(kept) == str(error)
    assert not Retry(max_attempts=10).retries(kept, 1)


def test_a_hundred_instances_are_one_call(clock: Hand) -> None:
    ids = start(100)
    asked = described()
    assert vms.vm_addresses(ids).keys() == set(ids)
    assert [sorted(call) for call in asked] == [sorted(ids)]


def test_an_instance_that_the_cloud_does_not_know_yet_is_left_out_and_the_others_are_not(clock: Hand) -> None:
    ids = start(2)
    assert vms.vm_addresses([ids[0], "i-0123456789abcdef0", ids[1]]).keys() == set(ids)
    assert vms.vm_addresses(["i-0123456789abcdef0"]) == {}


def test_a_repeated_start_gives_the_same_instance(clock: Hand) -> None:
    first = vms.start_vm("ami-1", "t3.micro", token="one")
    assert vms.start_vm("ami-1", "t3.micro", token="one") == first
    assert vms.start_vm("ami-1", "t3.micro", token="two") != first


def test_threads_share_one_client(clock: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    make, together = boto3.client, threading.Barrier(4)

    def counted(*args: Any, **kwargs: Any) -> Any:
        made.append(args)
        return make(*args, **kwargs)

    def use() -> Any:
        together.wait(10)
        return vms._ec2()

    monkeypatch.setattr(boto3, "client", counted)
    with ThreadPoolExecutor(4) as threads:
        clients = [future.result(30) for future in [threads.submit(use) for _ in range(4)]]
    assert len(made) == 1
    assert all(client is clients[0] for client in clients)
