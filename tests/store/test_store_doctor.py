"""`bide doctor` in front of real stores: such as it wants, and others."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hand_clock import HandClock
from hand_store import certificate, relayed
from prefixes import new_prefix
from submissions import submission
from valkey_server import valkey

from bide.connection import connect
from bide.gate import Gatekeeper
from bide.keys import Keys
from bide.operate.doctor import examine
from bide.operate.finding import Finding, Level
from bide.operate.stack import Told
from bide.settings import Settings
from bide.store import Store
from bide_client import exit_codes
from local import ports

pytestmark = pytest.mark.own_server("start servers of their own")

ROOT = Path(__file__).parents[2]
OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL
SOUND = ("--appendonly", "yes")
TASKS = "local.demo_tasks.vms"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a store with nothing wrong."""
    with valkey(tmp_path_factory.mktemp("sound"), *SOUND) as place:
        yield f"redis://{place}/0"


def look(url: str, prefix: str = "", *, ahead_s: float = 0, **variables: str) -> dict[str, Finding]:
    """The findings by their topic. ahead_s: how far this machine's clock is before the store's."""
    environ = {"BIDE_REDIS_URL": url, "BIDE_LOCAL": "1", "BIDE_TASKS": TASKS, "BIDE_WORKERS_MIN": "0"}
    environ |= {"BIDE_PREFIX": prefix or new_prefix()} | variables
    return {each.topic: each for each in examine(Told(environ), wall=lambda: time.time() + ahead_s)}


def bad(findings: dict[str, Finding]) -> dict[str, Level]:
    return {topic: each.level for topic, each in findings.items() if each.level is not OK}


def test_a_sound_server_has_no_faults_and_all_is_looked_at(sound: str) -> None:
    found = look(sound)
    assert bad(found) == {}
    assert list(found) == [
        "settings", "api keys", "tasks", "store", "version", "durability", "eviction", "memory", "clock",
        "cluster", "gate", "queues", "workers",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "topic", "level", "what"),
    [
        ((), "durability", WARN, "nothing survives"),
        ((*SOUND, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), "eviction", FAIL, "throws"),
        (
            (*SOUND, "--maxmemory", "100mb", "--maxmemory-policy", "volatile-ttl"),
            "eviction",
            OK,
            "no task has",
        ),
        ((*SOUND, "--maxmemory", "100mb"), "memory", OK, "of 100 MiB"),
        ((*SOUND, "--maxmemory", "1000"), "memory", FAIL, "it is full"),
        ((*SOUND, "--replicaof", "127.0.0.1", "1"), "role", FAIL, "a replica of 127.0.0.1:1"),
    ],
    ids=["no file", "evicts tasks", "evicts others", "room", "full", "replica"],
)
def test_what_a_store_is_set_to_is_seen(
    words: tuple[str, ...], topic: str, level: Level, what: str, tmp_path: Path
) -> None:
    with valkey(tmp_path, *words) as place:
        found = look(f"redis://{place}/0")
    assert (found[topic].level, what in found[topic].what) == (level, True), found[topic]
    assert bad(found) == ({} if level is OK else {topic: level})


def test_snapshots_alone_are_told_from_nothing(tmp_path: Path) -> None:
    with valkey(tmp_path) as place, redis.Redis.from_url(f"redis://{place}") as client:
        client.save()
        assert "snapshots alone" in look(f"redis://{place}")["durability"].what


# --- the way in -------------------------------------------------------------------------------


def test_each_obstacle_on_the_way_is_told_apart(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    listener = socket.create_server(("127.0.0.1", 0))
    tls_port = listener.getsockname()[1]
    with valkey(tmp_path, *SOUND, "--requirepass", "word") as place:
        host, port = place.split(":")
        with redis.Redis.from_url(f"redis://:word@{place}") as owner:
            owner.acl_setuser("reader", enabled=True, nopass=True, keys=["*"], commands=["+info", "+time"])
        with relayed(listener, (host, int(port)), context):
            for url, what in {
                f"redis://:word@{place}": "answers",
                f"rediss://:word@localhost:{tls_port}?ssl_ca_certs={chain}": "answers, by TLS",
                f"redis://:hunter2@{place}": "refuses the user or the password",
                f"redis://{place}": "wants a password",
                f"redis://reader:x@{place}": "the user 'reader' lacks a permission",
                f"redis://:word@127.0.0.1:{ports.free_port()}": "nothing listens",
                f"redis://:word@nowhere.invalid:{port}": "no address is known for the host nowhere.invalid",
                f"rediss://:word@localhost:{tls_port}": "is not trusted: self-signed certificate",
                f"rediss://:word@127.0.0.1:{tls_port}?ssl_ca_certs={chain}": "is not trusted",
                f"redis://:word@127.0.0.1:{tls_port}": "listens, and closes the connection",
                f"unix://:word@{tmp_path}/none": "none cannot be used: No such file",
            }.items():
                found = look(url)["store"]
                assert what in found.what, f"{url}: {found}"
                assert (found.level is OK) == what.startswith("answers")
                assert "hunter2" not in found.what


def test_a_cluster_is_asked_for_every_queue(tmp_path: Path) -> None:
    words = (*SOUND, "--cluster-enabled", "yes", "--cluster-port")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with (
        valkey(tmp_path / "a", *words, str(ports.free_port())) as first,
        valkey(tmp_path / "b", *words, str(bus := ports.free_port())) as second,
        redis.Redis.from_url(f"redis://{first}") as one,
        redis.Redis.from_url(f"redis://{second}") as other,
    ):
        assert "CLUSTERDOWN" in look(f"redis://{first}")["store"].what
        one.execute_command("CLUSTER ADDSLOTSRANGE", 0, 8191)
        other.execute_command("CLUSTER ADDSLOTSRANGE", 8192, 16383)
        one.execute_command("CLUSTER MEET", *second.split(":"), bus)
        deadline = time.monotonic() + 60
        while {node.execute_command("CLUSTER INFO")["cluster_state"] for node in (one, other)} != {"ok"}:
            assert time.monotonic() < deadline, "the cluster did not form"
            time.sleep(0.05)  # nothing tells when a node thinks itself fit
        queues = ",".join(f"q{n}" for n in range(9))
        found = look(f"redis://{first}", BIDE_QUEUES=queues)["cluster"]
        assert (found.level, "MOVED" in found.what) == (FAIL, True)


# --- what is kept there -----------------------------------------------------------------------


def test_a_clock_that_is_wrong_is_told(sound: str) -> None:
    found = look(sound, ahead_s=400)
    assert bad(found) == {"clock": WARN}
    assert "400.0 s ahead of the store's" in found["clock"].what
    assert "behind" in look(sound, ahead_s=-60)["clock"].what


def test_a_queue_that_missed_a_close_is_a_fault(sound: str) -> None:
    prefix = new_prefix()
    store = Store(connect(sound), Keys(prefix), HandClock())
    for queue in ("default", "vms"):
        store.register(queue)
    Gatekeeper(store).close("upgrade")
    found = look(sound, prefix)
    assert bad(found) == {}
    assert found["gate"].what == "closed (upgrade) for submissions, as queues default, vms know"
    store.command("HDEL", store.keys.slot("vms", ["meta"])[0], "accepting")
    assert (
        look(sound, prefix)["gate"].what == "the server is closed (upgrade), of which queue vms has not heard"
    )
    Gatekeeper(store).close("upgrade")
    assert bad(look(sound, prefix)) == {}, "the remedy is one"


def test_tasks_without_workers_and_queues_without_code_are_told(sound: str) -> None:
    prefix = new_prefix()
    store = Store(connect(sound), Keys(prefix), HandClock())
    store.clock.ms = int(time.time() * 1000) - 60_000  # type: ignore[attr-defined]
    for queue, delay_ms in (("default", 0), ("old", 0), ("old", 3_600_000)):
        store.submit(submission(queue=queue, delay_ms=delay_ms))
    found = look(sound, prefix)
    assert bad(found) == {"queues": WARN, "workers": FAIL}
    assert "queue old: 2 unfinished tasks" in found["queues"].what
    assert "queue default: 1 task ready, and no worker" in found["workers"].what
    assert bad(look(sound, prefix, BIDE_QUEUES="old")) == {"workers": FAIL}


def test_too_few_workers_are_told(sound: str) -> None:
    prefix = new_prefix()
    Store(connect(sound), Keys(prefix), HandClock()).register("default")
    assert bad(look(sound, prefix, BIDE_WORKERS_MIN="2")) == {"workers": WARN}


def test_nothing_is_changed(sound: str) -> None:
    prefix = new_prefix()
    store = Store(connect(sound), Keys(prefix), HandClock())
    store.submit(submission(delay_ms=3_600_000))
    with redis.Redis.from_url(sound) as client:
        before = {key: client.dump(key) for key in client.scan_iter()}
        client.config_resetstat()
        look(sound, prefix)
        assert {key: client.dump(key) for key in client.scan_iter()} == before
        assert not [call for call in client.info("commandstats") if call.startswith("cmdstat_config|get")]


# --- the command ------------------------------------------------------------------------------


def run(url: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BIDE_")}
    environ |= {"BIDE_REDIS_URL": url, "BIDE_TASKS": TASKS, "BIDE_WORKERS_MIN": "0"} | variables
    return subprocess.run(
        [sys.executable, "-m", "bide_client", "doctor", *words],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_prints_a_table_and_succeeds(sound: str) -> None:
    ran = run(sound, BIDE_LOCAL="1")
    assert (ran.returncode, ran.stderr) == (exit_codes.OK, "")
    rows = ran.stdout.splitlines()
    assert rows[0] == f"ok    settings    4 of {len(Settings.names())} set, the others have their defaults"
    assert rows[-1] == "13 ok, 0 warn, 0 fail"


def test_all_faults_come_at_once_in_one_document_and_an_exit_code(sound: str) -> None:
    ran = run(sound, "--json", BIDE_CONCURRENCY="many", BIDE_WAKE="shout")
    assert (ran.returncode, ran.stderr) == (exit_codes.FAULT_FOUND, "")
    (line,) = ran.stdout.splitlines()
    document = json.loads(line)
    assert document["ok"] is False
    faults = [each for each in document["findings"] if each["level"] == "fail"]
    assert [each["topic"] for each in faults] == ["settings", "settings", "api keys"]
    assert all(each["remedy"].endswith(".") for each in faults)
    assert {"version", "workers"} <= {each["topic"] for each in document["findings"]}, "it looked on"
