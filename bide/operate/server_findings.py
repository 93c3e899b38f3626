"""What settings, tasks, queues and workers come to. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from bide.autoscaler import Limits, Seen
from bide.gate import Gate
from bide.operate.finding import Finding, fail, ok, warn
from bide.registry import Registry
from bide.settings import Settings

_SHOWN: Final = 5
"""Queues that one finding names at most."""


class Copy(NamedTuple):
    """A slot's copy of the gate."""

    accepting: bool | None
    """None when it has none: it refuses, until it is registered again."""
    epoch: int


class Queue(NamedTuple):
    """One queue that the store has."""

    copy: Copy
    unfinished: int
    """Tasks that have not ended."""
    seen: Seen
    is_paused: bool = False


def settings(problems: Sequence[str], named: Collection[str], port: int | None = None) -> list[Finding]:
    """All that is wrong with the settings.

    named: variables of the environment, whoever reads them. port: of the stack that was told some of them.
    """
    remedy = "Mend the variable; docs/settings.md says what it may hold."
    found = [fail("settings", problem, remedy) for problem in problems]
    known = Settings.names()
    for name in sorted(set(named) - set(known)):
        meant = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        if meant:
            found.append(warn("settings", f"{name} is no setting", f"Set {meant[0]}, if that is meant."))
    if not found:
        number = len(set(named) & set(known))
        whose = "" if port is None else f", as the `make up` on port {port} has them"
        found.append(ok("settings", f"{number} of {len(known)} set{whose}, the others have their defaults"))
    return found


def api_keys(settings: Settings) -> Finding:
    """Who may call."""
    if settings.is_keyless:
        whom = "every user of this machine" if settings.local_open else "the user who runs it"
        return ok("api keys", f"none needed: BIDE_LOCAL=1 lets in {whom}, and nobody else")
    keys = [*settings.api_key_hashes, *settings.operator_key_hashes]
    if not keys:
        return fail(
            "api keys",
            "none: every request is refused",
            "Set BIDE_API_KEY_HASHES and BIDE_OPERATOR_KEY_HASHES; the answer to any request says how.",
        )
    tenants = len({tenant for tenant, _ in keys})
    what = f"{_many(len(keys), 'key')} of {_many(tenants, 'tenant')}"
    operators = len(settings.operator_key_hashes)
    if not operators:
        return warn(
            "api keys",
            f"{what}, none an operator's: nobody may close the server, pause a queue or redrive",
            "Set BIDE_OPERATOR_KEY_HASHES.",
        )
    return ok("api keys", f"{what}, {_many(operators, 'operator key')} among them")


def tasks(registry: Registry, packages: Sequence[str]) -> list[Finding]:
    """Which tasks are registered, and what keeps others from it."""
    found = [
        fail("tasks", str(problem), "Mend it: a worker or a server on AWS does not start with it.")
        for problem in registry.problems
    ]
    if not registry.definitions:
        remedy = "Let BIDE_TASKS name the packages that have them, and run this in the folder they lie in."
        found.append(warn("tasks", f"none in {', '.join(packages)}", remedy))
    elif not found:
        number = _many(len(registry.definitions), "task")
        found.append(ok("tasks", f"{number}, for {_listed(registry.queues)}"))
    return found


def gate(gate: Gate, queues: Mapping[str, Queue]) -> Finding:
    """Whether every queue's copy of the gate says what the server's says."""
    state = "open" if gate.accepting else f"closed ({gate.reason})"
    expected = Copy(gate.accepting, gate.epoch)
    astray = [name for name, queue in queues.items() if queue.copy != expected]
    if astray:
        verb, have = "open" if gate.accepting else "close", "has" if len(astray) == 1 else "have"
        return fail(
            "gate",
            f"the server is {state}, of which {_listed(astray)} {have} not heard",
            f"Run `bide server {verb}` again: it tells every queue, and says which cannot be told.",
        )
    known = f", as {_listed(list(queues))} {'knows' if len(queues) == 1 else 'know'}" if queues else ""
    return ok("gate", f"{state} for submissions{known}")


def queues(queues: Mapping[str, Queue], served: Collection[str]) -> Finding:
    """Whether every queue with tasks has somebody who runs them. served: queues that workers lease from."""
    strange = [name for name, queue in queues.items() if queue.unfinished and name not in served]
    if strange:
        left = sum(queues[name].unfinished for name in strange)
        return warn(
            "queues",
            f"{_listed(strange)}: {_many(left, 'unfinished task')}, and no worker with these settings and "
            "tasks leases from there",
            "Name the queue in BIDE_QUEUES, or deploy the code whose tasks name it.",
        )
    if not queues:
        return ok("queues", "none has had a task yet")
    unfinished = sum(queue.unfinished for queue in queues.values())
    paused = sum(queue.is_paused for queue in queues.values())
    of_them = f", {paused} of them paused" if paused else ""
    return ok("queues", f"{len(queues)}{of_them}, with {_many(unfinished, 'unfinished task')}")


def workers(queues: Mapping[str, Queue], limits: Mapping[str, Limits]) -> Finding:
    """Whether what is ready has workers, and each queue its minimum. limits: of each queue that is served."""
    seen = {name: queue.seen for name, queue in queues.items() if name in limits and not queue.is_paused}
    stuck = [name for name, each in seen.items() if each.ready and not each.awake + each.starting]
    if stuck:
        ready = sum(seen[name].ready for name in stuck)
        return fail(
            "workers",
            f"{_listed(stuck)}: {_many(ready, 'task')} ready, and no worker awake or starting",
            "See that the tick runs, and in its log why it starts none; docs/scaling.md says who does.",
        )
    few = [name for name, each in seen.items() if each.awake + each.starting < limits[name].minimum]
    if few:
        return warn(
            "workers",
            f"{_listed(few)}: fewer awake than BIDE_WORKERS_MIN or BIDE_QUEUE_LIMITS want",
            "Start the server's workers, and see that the tick runs: it keeps the minimum.",
        )
    awake = max((each.awake for each in seen.values()), default=0)
    starting = max((each.starting for each in seen.values()), default=0)
    return ok("workers", f"{awake} awake, {starting} starting: enough for what is ready")


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    shown = ", ".join(sorted(names)[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"{'queue' if len(names) == 1 else 'queues'} {shown}"
