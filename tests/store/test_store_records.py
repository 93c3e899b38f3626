"""Records written by Lua and by Python are the same bytes, field for field."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
import redis
from hand_clock import START_MS, HandClock
from key_guard import load_plain
from scripted_worker import ScriptedWorker, settle
from submissions import Submit, submission

from bide import line, scripts
from bide import store as store_module
from bide.errors import TaskNotFound
from bide.ids import TaskId, parse_id
from bide.reads import Reads
from bide.records import INLINE_BYTES, Run, Spec, TaskView, first_run, pack_spec, read_run, read_spec
from bide.state import State
from bide.store import Store

_RUN = load_plain("awaiting").source.split("local ids, answers")[0]
"""A script's beginning that reads records: `lua/_run.lua`, as it is loaded."""


def evaluate(store: Store, script: str, *args: bytes) -> bytes:
    """What a script that begins so returns."""
    keys = store.keys.slot("default", ("specs", "runs"))
    reply: bytes = store.command("EVAL", _RUN + script, len(keys), *keys, *args)
    return reply


EXTREMES = [
    Run(State.READY),
    Run(State.RUNNING, 1, 3, 1, "worker", 60_000, START_MS, cancelling=1, began_ms=START_MS),
    Run(State.RETRYING, 127, 128, 2**32 - 1, "w" * 32, 2**32, START_MS, due_ms=START_MS + 365 * 86_400_000),
    Run(State.SUCCEEDED, 255, 256, 2**52, "ü" * 100, 2**40, 2**41, 2**42, '{"a":"ü\x00"}', 2**43, 1),
    Run(State.CANCELLED, 65_535, 65_536, 2**31, "w" * 255, 2**16, 2**31 - 1, 2**63 // 2**11),
    Run(State.WAITING, awaits="go stop", parked_ms=START_MS, priority=9, since_ms=1),
]


@pytest.mark.parametrize("run", EXTREMES, ids=lambda run: str(run.state))
def test_lua_repacks_a_run_without_a_change(store: Store, run: Run) -> None:
    script = "return pack_run(read_run(ARGV[1]))"
    packed = evaluate(store, script, msgspec.msgpack.encode(run))
    assert read_run(packed) == run
    assert packed == evaluate(store, script, packed)


SPECS = [
    Spec("echo", "", args="{}"),
    Spec(
        "n" * 200, "acme", 1_000, 2**40, 9, START_MS, START_MS + 1, START_MS + 2, "acme\0key", "acme\0one",
        "a b", json.dumps({"x": "ü\x00" * 40_000}),
    ),
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS, ids=["small", "large"])
def test_lua_reads_the_head_of_a_spec_and_python_all_of_it(store: Store, spec: Spec) -> None:
    value = b"\0\0\0\7" + b"".join(pack_spec(spec))
    assert read_spec(value) == spec
    head = evaluate(store, "return cmsgpack.pack(read_spec(ARGV[1]))", value)
    assert msgspec.msgpack.decode(head) == list(msgspec.structs.astuple(spec)[:-1])


@pytest.mark.parametrize("spec", SPECS, ids=["small", "large"])
def test_lua_and_python_begin_with_the_same_run(store: Store, spec: Spec) -> None:
    value = b"\0\0\0\7" + b"".join(pack_spec(spec))
    id = TaskId("default", START_MS.to_bytes(6, "big") + b"?" * 10)
    packed = evaluate(store, "return pack_run(first_run(ARGV[1], read_spec(ARGV[2])))", id.key, value)
    assert read_run(packed) == first_run(spec, START_MS)


@pytest.mark.parametrize(("record", "prefix"), [(Run, ""), (Spec, "SPEC_")])
def test_lua_numbers_fields_as_python_orders_them(record: type[msgspec.Struct], prefix: str) -> None:
    text = (scripts.FOLDER / "_run.lua").read_text(encoding="utf-8")
    numbered = " ".join(re.findall("^--- fields (.*)$", text, re.MULTILINE)).split()
    fields = [re.sub("_(MS|US|AT_MS)$", "", name.upper()) for name in record.__struct_fields__]
    named = [name.removeprefix("SPEC_") for name in numbered if name.startswith("SPEC_") == bool(prefix)]
    assert named == [{"RUN": "DUE"}.get(field, field) for field in fields if field != "ARGS"]


def test_numbers_that_lua_and_python_share_are_the_same() -> None:
    texts = [path.read_text(encoding="utf-8") for path in scripts.FOLDER.glob("*.lua")]
    bands = [
        int(number) for text in texts for number in re.findall(r"^local BAND = (\d+)", text, re.MULTILINE)
    ]
    kept = [
        int(n)
        for text in texts
        for n in re.findall(r"^local KEPT_LINES(?:, \w+)? = (\d+)", text, re.MULTILINE)
    ]
    inline = [
        int(n) for text in texts for n in re.findall(r"^local INLINE_BYTES = (\d+)", text, re.MULTILINE)
    ]
    assert inline == [INLINE_BYTES]
    assert bands == [store_module._BAND]
    assert kept == [line.KEPT]


def test_a_task_reads_whole_at_each_stage(
    submit: Submit, worker: ScriptedWorker, store: Store, clock: HandClock
) -> None:
    reads = Reads(store)
    id = submit(tenant="acme", delay_ms=5)
    spec = Spec("echo", "acme", 3, 60_000, run_at_ms=START_MS + 5, args='{"value":1}')
    run = Run(State.SCHEDULED, 0, 3, retention_ms=60_000, due_ms=START_MS + 5)
    assert reads.task(id, "acme") == TaskView(str(id), "default", spec, run, START_MS)

    clock.pass_ms(5)
    lease = worker.lease_one()
    run = Run(
        State.RUNNING, 1, 3, lease.fence, "worker", 60_000, START_MS + 5,
        since_ms=START_MS + 5, began_ms=START_MS + 5,
    )  # fmt: skip
    assert reads.task(id, "acme") == TaskView(str(id), "default", spec, run, START_MS)

    clock.pass_ms(5)
    worker.exchange(settle(lease, "succeeded", b'{"a":1}'))
    run = Run(State.SUCCEEDED, 1, 3, lease.fence, "", 60_000, START_MS + 5, START_MS + 10, outcome='{"a":1}')
    assert reads.task(id, "acme") == TaskView(str(id), "default", spec, run, START_MS)


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
