"""Virtual machines in EC2: started one by one, waited for together.

Where, and as whom, is AWS's own configuration: AWS_ENDPOINT_URL, AWS_REGION,
AWS_ACCESS_KEY_ID and so on.
"""

from __future__ import annotations

import re
import threading
from functools import cache
from typing import Annotated, Any, Final, TypedDict

from msgspec import Meta

from bide import Context, Pending, Reject, Retry, poller, task

_ONE_AT_A_TIME: Final = threading.Lock()


class LaunchFailed(Reject):
    """The instance will not run. Another attempt has the same ClientToken, and so the same instance."""


class Vm(TypedDict):
    """A running instance. `address` is the public one, or the private one where there is no public one."""

    instance: str
    address: str


# Throttled starts are tried again: EC2 allows bursts of a few, then about two a second.
@task(local_only=True, retry=Retry(max_attempts=10, delay="2s", max_delay="1m"))
async def vm_provision(
    ctx: Context,
    image: Annotated[str, Meta(pattern="^ami-", max_length=100)],
    instance_type: Annotated[str, Meta(pattern=r"^[a-z0-9.-]+$", max_length=50)] = "t3.micro",
) -> Vm:
    """Start an EC2 instance and wait until it runs. Any number of these share their DescribeInstances."""
    instance = await ctx.step(start_vm, image, instance_type, token=ctx.token("vm"))
    address = await ctx.poll(vm_addresses, instance, timeout="10m")
    return Vm(instance=instance, address=address)


def start_vm(image: str, instance_type: str, *, token: str) -> str:
    """Start an instance and return its id; the same `token` gives the same instance, however often."""
    reservation = _ec2().run_instances(
        ImageId=image, InstanceType=instance_type, MinCount=1, MaxCount=1, ClientToken=token
    )
    instance: str = reservation["Instances"][0]["InstanceId"]
    return instance


@poller(batch=100, every=5, rate="5/s")
def vm_addresses(instances: list[str]) -> dict[str, Any]:
    """The address of each instance that runs, LaunchFailed for each that never will, Pending for others.

    One call for all of them. An instance that EC2 does not know yet, which may be so for some
    seconds after its start, is left out.
    """
    return {instance["InstanceId"]: _address(instance) for instance in _describe(instances)}


def _address(instance: dict[str, Any]) -> Any:
    state = instance["State"]["Name"]
    if state == "running":
        return instance.get("PublicIpAddress") or instance["PrivateIpAddress"]
    if state == "pending":
        return Pending
    reason = instance.get("StateReason", {}).get("Message") or "no reason given"
    return LaunchFailed(f"{instance['InstanceId']} is {state}: {reason}")


def _describe(instances: list[str]) -> list[dict[str, Any]]:
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]

    known = instances
    while known:
        try:
            answer = _ec2().describe_instances(InstanceIds=known)
        except ClientError as error:
            # It refuses the whole call for an unknown id; the others must not wait for that one.
            if error.response["Error"]["Code"] != "InvalidInstanceID.NotFound":
                raise
            unknown = set(re.findall(r"i-[0-9a-f]+", error.response["Error"]["Message"]))
            if unknown.isdisjoint(known):
                raise
            known = [instance for instance in known if instance not in unknown]
        else:
            return [instance for group in answer["Reservations"] for instance in group["Instances"]]
    return []


def _ec2() -> Any:
    with _ONE_AT_A_TIME:  # making a client is not thread-safe; using it is
        return _make_client()


@cache
def _make_client() -> Any:
    import boto3  # type: ignore[import-untyped]  # takes 0.25 s; only workers that start instances pay
    from botocore.config import Config  # type: ignore[import-untyped]

    # Its own retries would hide a throttle from the poller, and repeat calls at everyone's expense.
    return boto3.client(
        "ec2",
        config=Config(
            retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30, max_pool_connections=128
        ),
    )
