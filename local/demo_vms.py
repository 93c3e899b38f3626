"""The virtual machines of the demo: what must come of each, and how often the cloud may be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import requests

from bide_client import BideError, Client, Task, TaskStatus
from local.cloud_calls import Call, Known
from local.demo_tasks.vms import vm_addresses
from local.signing import AccessKey, Scope

FAILING_EVERY: Final = 50
"""One instance in so many fails to start."""

IMAGE: Final = "ami-0de30000000000000"

REGION: Final = "us-east-1"

_PATIENCE_SECONDS: Final = 180.0
"""How long a result may take."""

_INEXACT_SECONDS: Final = 0.5
"""By how much the cloud may see a round too soon: the way there takes now longer, now shorter."""


@dataclass(frozen=True)
class Ending:
    """How the task of one VM ended."""

    status: TaskStatus | None
    problem: str = ""
    """Why there is no status."""

    @property
    def seconds(self) -> float:
        """From submission to the end, by the server's clock; 0 when it is not known to have ended."""
        status = self.status
        if status is None or status.finished_at is None or status.submitted_at is None:
            return 0.0
        return (status.finished_at - status.submitted_at).total_seconds()


def submit(client: Client) -> Task:
    """Ask for one VM."""
    return client.submit("vm_provision", image=IMAGE)


def wait(task: Task) -> Ending:
    """Wait until its task has ended."""
    try:
        return Ending(task.wait(timeout=_PATIENCE_SECONDS))
    except BideError as error:
        return Ending(None, str(error))


@dataclass(frozen=True)
class Ledger:
    """What the cloud has: its instances by id, and the calls that it got."""

    instances: Mapping[str, Known]
    calls: Sequence[Call]

    @classmethod
    def of(cls, url: str, key: AccessKey) -> Ledger:
        """Ask the cloud, which answers to `key`."""
        instances, calls = (_ask(f"{url}/{page}", key) for page in ("_instances", "_calls"))
        return cls(
            msgspec.json.decode(instances, type=dict[str, Known]),
            msgspec.json.decode(calls, type=list[Call]),
        )

    def count(self, action: str) -> int:
        """How many calls of one action there were."""
        return sum(call.action == action for call in self.calls)


def _ask(url: str, key: AccessKey) -> bytes:
    headers = dict(key.signed(Scope("ec2", REGION), "GET", url))
    answer = requests.get(url, headers=headers, timeout=10)
    answer.raise_for_status()
    return answer.content


def judge(ending: Ending, ledger: Ledger) -> str | None:
    """What is wrong with how a VM's task ended, if anything is."""
    status = ending.status
    if status is None:
        return ending.problem
    if status.state == "succeeded":
        instance = ledger.instances.get(status.result["instance"])
        if instance is None:
            return f"{status.id} has an instance that the cloud has not: {status.result}"
        if instance.state != "running" or instance.address != status.result["address"]:
            return f"{status.id}: {status.result}, but the cloud has {instance}"
        return None
    message = str((status.error or {}).get("message", ""))
    for id, instance in ledger.instances.items():
        if id in message:
            right = status.state == "failed" and instance.state == "terminated" and instance.reason in message
            return None if right else f"{status.id} {status.state}: {message}, but the cloud has {instance}"
    return f"{status.id} {status.state}: {status.error}"


def misjudged(endings: Sequence[Ending], ledger: Ledger) -> list[str]:
    """Everything that is wrong: tasks, instances of none or two of them, the number of failures."""
    wrong = [problem for ending in endings if (problem := judge(ending, ledger)) is not None]
    if len(ledger.instances) != len(endings):
        wrong.append(f"{len(ledger.instances)} instances were started for {len(endings)} tasks")
    failed = sum(ending.status is not None and ending.status.state == "failed" for ending in endings)
    if failed != len(endings) // FAILING_EVERY:
        wrong.append(f"{failed} tasks failed instead of one in {FAILING_EVERY}")
    return wrong


def answered(calls: Sequence[Call]) -> list[Call]:
    """The describes that were neither throttled nor failed otherwise."""
    return [call for call in calls if call.action == "DescribeInstances" and call.status == 200]


def rounds(described: Sequence[Call]) -> list[list[Call]]:
    """The calls by round: one ends where an instance is asked for again, or the next is due."""
    found: list[list[Call]] = []
    asked: set[str] = set()
    for call in sorted(described, key=lambda call: call.at):
        due = bool(found) and call.at - found[-1][0].at >= vm_addresses.every_s - _INEXACT_SECONDS
        if not found or due or not asked.isdisjoint(call.ids):
            found.append([])
            asked = set()
        found[-1].append(call)
        asked.update(call.ids)
    return found


def excess(calls: Sequence[Call]) -> list[str]:
    """Where there was more than one describe per batch of waiting instances and interval.

    Intervals are counted from the first start: a call of one that was held up may come late,
    and the next one still be in time.
    """
    every, batch = vm_addresses.every_s, vm_addresses.batch
    wrong = []
    begun = min((call.at for call in calls if call.action == "RunInstances"), default=0.0)
    for number, made in enumerate(rounds(answered(calls))):
        ids = sum(len(call.ids) for call in made)
        if len(made) > -(-ids // batch):
            wrong.append(f"a round asked for {ids} instances in {len(made)} calls")
        if (after := made[0].at - begun) < number * every - _INEXACT_SECONDS:
            wrong.append(f"round {number + 1} came after {after:.1f} s, with one every {every:g} s")
    return wrong
