"""Records written by Lua and by Python are the same bytes, field for field."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
import redis
from hand_clock import START_MS, HandClock
from scripted_worker import ScriptedWorker, settle
from submissions import Submit, submission

from bide import scripts
from bide.errors import TaskNotFound
from bide.ids import TaskId, parse_id
from bide.reads import Reads
from bide.records import Run, Spec, TaskView
from bide.state import State
from bide.store import Store

_REPACK = "return cmsgpack.pack(cmsgpack.unpack(ARGV[1]))"

EXTREMES = [
    Run(State.READY),
    Run(State.RUNNING, 1, 3, 1, "worker", 60_000, START_MS, 0, 0, 1),
    Run(State.RETRYING, 127, 128, 2**32 - 1, "w" * 32, 2**32, START_MS, 0, START_MS + 365 * 86_400_000, 0),
    Run(State.SUCCEEDED, 255, 256, 2**52, "ü" * 100, 2**40, 2**41, 2**42, 2**43, 1),
    Run(State.CANCELLED, 65_535, 65_536, 2**31, "w" * 255, 2**16, 2**31 - 1, 2**63 // 2**11),
]


@pytest.mark.parametrize("run", EXTREMES, ids=lambda run: str(run.state))
def test_lua_repacks_a_run_without_a_change(store: Store, run: Run) -> None:
    packed = store.command("EVAL", _REPACK, 0, msgspec.msgpack.encode(run))
    assert msgspec.msgpack.decode(packed, type=Run, strict=True) == run


@pytest.mark.parametrize(
    "spec",
    [
        Spec("echo", "{}", "", 0, ""),
        Spec("n" * 200, json.dumps({"x": "ü\x00" * 40_000}), "acme", START_MS, "acme\0key"),
    ],
    ids=["small", "large"],
)
def test_lua_repacks_a_spec_without_a_change(store: Store, spec: Spec) -> None:
    packed = store.command("EVAL", _REPACK, 0, msgspec.msgpack.encode(spec))
    assert msgspec.msgpack.decode(packed, type=Spec, strict=True) == spec


def test_lua_numbers_the_fields_of_a_run_as_python_orders_them() -> None:
    text = (scripts.FOLDER / "_run.lua").read_text(encoding="utf-8")
    numbered: dict[str, int] = {}
    for line in text.splitlines():
        if line.startswith("local "):
            names, numbers = line.removeprefix("local ").split(" = ")
            numbered |= dict(zip(names.split(", "), map(int, numbers.split(", ")), strict=True))
    fields = [re.sub("_[MU]S$", "", name.upper()) for name in Run.__struct_fields__]
    assert sorted(numbered, key=numbered.__getitem__) == fields
    assert sorted(numbered.values()) == list(range(1, len(fields) + 1))


@pytest.mark.parametrize(
    ("script", "constant", "field"),
    [
        ("_prune", "SPEC_IDEMPOTENCY", "idempotency"),
        ("cancel", "SPEC_TENANT", "tenant"),
        ("event", "SPEC_TENANT", "tenant"),
    ],
)
def test_lua_numbers_the_fields_of_a_spec_as_python_orders_them(
    script: str, constant: str, field: str
) -> None:
    text = (scripts.FOLDER / f"{script}.lua").read_text(encoding="utf-8")
    assert f"local {constant} = {Spec.__struct_fields__.index(field) + 1}\n" in text


def test_a_task_reads_whole_at_each_stage(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock
) -> None:
    reads = Reads(store)
    id = submit(tenant="acme", delay_ms=5)
    spec = Spec("echo", '{"value":1}', "acme", START_MS + 5, "")
    run = Run(State.SCHEDULED, 0, 3, retention_ms=60_000, due_ms=START_MS + 5)
    assert reads.task(id, "acme") == TaskView(str(id), "default", spec, run, b"", START_MS)

    clock.pass_ms(5)
    lease = worker.lease_one()
    run = Run(State.RUNNING, 1, 3, lease.fence, "worker", 60_000, START_MS + 5)
    assert reads.task(id, "acme") == TaskView(str(id), "default", spec, run, b"", START_MS)

    clock.pass_ms(5)
    worker.exchange(settle(lease, "succeeded", b'{"a":1}'))
    run = Run(State.SUCCEEDED, 1, 3, lease.fence, "", 60_000, START_MS + 5, START_MS + 10)
    assert reads.task(id, "acme") == TaskView(str(id), "default", spec, run, b'{"a":1}', START_MS)


def test_a_task_that_is_not_there_or_anothers_is_not_found(submit: Submit, store: Store) -> None:
    reads = Reads(store)
    id = submit(tenant="acme")
    for wrong, tenant in ((id, ""), (id, "zeta"), (TaskId("default", b"?" * 16), "acme")):
        with pytest.raises(TaskNotFound):
            reads.task(wrong, tenant)


def test_reading_changes_nothing(
    submit: Submit, store: Store, redis_client: redis.Redis, prefix: str
) -> None:
    id = submit()
    raw = {key: store.command("DUMP", key) for key in redis_client.scan_iter(f"{prefix}:*", count=1000)}
    Reads(store).task(id, "")
    assert {key: store.command("DUMP", key) for key in raw} == raw


def test_ids_pass_through_the_store_and_back(store: Store, worker: ScriptedWorker) -> None:
    """Whatever their bytes: zero, quote, newline, invalid UTF-8."""
    randoms = iter([b"\0" * 10, b"\xff" * 10, b"\r\n\"'\x80\xc3\x28\0\0\0", b"0123456789"])
    store = Store(store.client, store.keys, store.clock, random_bytes=lambda n: next(randoms))
    ids = [store.submit(submission()).id for _ in range(4)]
    leases = worker.lease()
    assert [lease.id for lease in leases] == ids
    assert [parse_id(str(id)) for id in ids] == ids
    for id in ids:
        store.cancel(id, "")
    assert worker.exchange().cancels == tuple(id.key for id in ids)
    assert worker.heartbeat(*leases) == ((), tuple(id.key for id in ids))
    assert worker.repeat().leases == ()
