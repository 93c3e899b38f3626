"""The virtual machines of the demo: what must come of each, and how often the cloud may be asked."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec
import requests

from bide_client import BideError, Client, Task, TaskStatus
from local.cloud_calls import Call, Known
from workers.tasks.vms import vm_addresses

FAILING_EVERY: Final = 50
"""One instance in so many fails to start."""

IMAGE: Final = "ami-0de30000000000000"

_PATIENCE_SECONDS: Final = 180.0
"""How long a result may take."""

_PUNCTUAL: Final = 0.9
"""The share of an interval after which another round may begin: timers and networks are not exact."""


@dataclass(frozen=True)
class Ending:
    """How the task of one VM ended. `to_result` in seconds since it was submitted."""

    status: TaskStatus | None
    to_result: float
    problem: str = ""
    """Why there is no status."""


def submit(client: Client) -> tuple[Task, float]:
    """Ask for one VM; returns its task, and when that was."""
    return client.submit("vm_provision", image=IMAGE), time.monotonic()


def wait(task: Task, submitted: float) -> Ending:
    """Wait until its task has ended."""
    try:
        status = task.wait(timeout=_PATIENCE_SECONDS)
    except BideError as error:
        return Ending(None, time.monotonic() - submitted, str(error))
    return Ending(status, time.monotonic() - submitted)


@dataclass(frozen=True)
class Ledger:
    """What the cloud has: its instances by id, and the calls that it got."""

    instances: Mapping[str, Known]
    calls: Sequence[Call]

    @classmethod
    def of(cls, url: str) -> Ledger:
        """Ask the cloud."""
        instances, calls = (requests.get(f"{url}/{page}", timeout=10) for page in ("_instances", "_calls"))
        return cls(
            msgspec.json.decode(instances.content, type=dict[str, Known]),
            msgspec.json.decode(calls.content, type=list[Call]),
        )

    def count(self, action: str) -> int:
        """How many calls of one action there were."""
        return sum(call.action == action for call in self.calls)

    @property
    def described(self) -> list[Call]:
        """Answered questions for the state of instances."""
        return [call for call in self.calls if call.action == "DescribeInstances" and call.status == 200]

    @property
    def refused(self) -> int:
        """Questions for the state of instances that were throttled, or failed."""
        return self.count("DescribeInstances") - len(self.described)


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


def rounds(described: Sequence[Call]) -> list[list[Call]]:
    """The calls by round: one ends where an instance is asked for again, or the next is due."""
    found: list[list[Call]] = []
    asked: set[str] = set()
    for call in sorted(described, key=lambda call: call.at):
        due = bool(found) and call.at - found[-1][0].at >= _PUNCTUAL * vm_addresses.every_s
        if not found or due or not asked.isdisjoint(call.ids):
            found.append([])
            asked = set()
        found[-1].append(call)
        asked.update(call.ids)
    return found


def excess(described: Sequence[Call]) -> list[str]:
    """Where there was more than one call per batch of waiting instances and interval."""
    every, batch = vm_addresses.every_s, vm_addresses.batch
    found = rounds(described)
    wrong = []
    for calls in found:
        ids = sum(len(call.ids) for call in calls)
        if len(calls) > -(-ids // batch):
            wrong.append(f"a round asked for {ids} instances in {len(calls)} calls")
    for before, after in pairwise(found):
        if (gap := after[0].at - before[0].at) < _PUNCTUAL * every:
            wrong.append(f"two rounds began {gap:.1f} s apart instead of {every:g} s")
    return wrong
