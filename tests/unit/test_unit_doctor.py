"""What `bide doctor` makes of what it is told. No store is needed."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from bide import task
from bide.address import Address
from bide.autoscaler import Limits, Seen
from bide.connection import explain
from bide.errors import StoreError, StoreUnavailable
from bide.gate import Gate
from bide.operate import server_findings, store_findings
from bide.operate.entrance import barred
from bide.operate.finding import Finding, Level, fail, lines, ok, summary, warn
from bide.operate.server_findings import Copy, Queue
from bide.registry import LoadProblem, Registry
from bide.settings import Settings
from bide.store_info import StoreInfo

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL
GIB = 2**30


def info(**fields: object) -> StoreInfo:
    return StoreInfo({name: str(value) for name, value in fields.items()})


def test_a_reply_to_info_is_read() -> None:
    reply = (
        b"# Server\r\nredis_version:7.2.4\r\nvalkey_version:9.1.2\r\nexecutable:/opt/a:b\r\n\r\n# Memory\r\n"
    )
    read = StoreInfo.of(reply + b"used_memory:1024\r\nused_memory_human:1.00K\r\n")
    assert (read.server, read.version) == ("valkey", "9.1.2")
    assert (read.text("executable"), read.text("absent")) == ("/opt/a:b", "")
    assert (read.number("used_memory"), read.number("used_memory_human"), read.number("absent")) == (
        1024,
        0,
        0,
    )


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        ({"valkey_version": "7.2.0", "redis_version": "7.2.4"}, OK),
        ({"valkey_version": "10.0.1", "redis_version": "7.2.4"}, OK),
        ({"redis_version": "7.0.15"}, OK),
        ({"redis_version": "8.2"}, OK),
        ({"redis_version": "6.2.14"}, FAIL),
        ({"redis_version": "7"}, FAIL),
        ({"redis_version": "unstable"}, FAIL),
        ({}, FAIL),
    ],
)
def test_an_old_server_will_not_do(fields: dict[str, str], level: Level) -> None:
    assert store_findings.version(info(**fields)).level is level


@pytest.mark.parametrize(
    ("fields", "level", "what"),
    [
        (
            {"aof_enabled": 1, "aof_last_write_status": "ok"},
            OK,
            "a killed store loses nothing that was in the file",
        ),
        ({"aof_enabled": 1, "aof_last_write_status": "ok", "aof_delayed_fsync": 7}, WARN, "7 times late"),
        ({"aof_enabled": 1, "aof_last_write_status": "err"}, FAIL, "accepted last is in its memory alone"),
        (
            {"rdb_last_save_time": 1, "rdb_saves": 2, "rdb_changes_since_last_save": 1234},
            WARN,
            "1,234 changes",
        ),
        ({"rdb_last_save_time": 1, "rdb_saves": 0}, WARN, "none: nothing survives"),
        ({"rdb_last_save_time": 1, "connected_slaves": 2}, WARN, "but 2 replicas' memory"),
        ({"rdb_saves": 2, "rdb_last_bgsave_status": "err"}, FAIL, "the last snapshot failed"),
    ],
)
def test_what_survives_is_told(fields: dict[str, Any], level: Level, what: str) -> None:
    found = store_findings.durability(info(**fields))
    assert found.level is level
    assert what in found.what


@pytest.mark.parametrize(
    ("policy", "maxmemory", "level", "what"),
    [
        ("noeviction", GIB, OK, "forgets nothing"),
        ("", GIB, OK, "forgets nothing"),
        ("volatile-lru", GIB, OK, "no task has one"),
        ("allkeys-lru", 0, OK, "no limit of memory"),
        ("allkeys-lru", GIB, FAIL, "throws accepted tasks away"),
        ("allkeys-random", GIB, FAIL, "throws accepted tasks away"),
    ],
)
def test_a_store_that_evicts_tasks_is_a_fault(policy: str, maxmemory: int, level: Level, what: str) -> None:
    found = store_findings.eviction(info(maxmemory_policy=policy, maxmemory=maxmemory))
    assert found.level is level
    assert what in found.what


@pytest.mark.parametrize(
    ("fields", "level", "what"),
    [
        ({"used_memory": GIB, "maxmemory": 2 * GIB}, OK, "1.0 GiB used of 2.0 GiB"),
        ({"used_memory": 85, "maxmemory": 100}, WARN, "85 B used of 100 B: little is left"),
        ({"used_memory": 95, "maxmemory": 100}, FAIL, "it is full"),
        ({"used_memory": 10, "total_system_memory": 100}, OK, "of 100 B that its machine has: no maxmemory"),
        ({"used_memory": 90, "total_system_memory": 100}, WARN, "little is left"),
        ({"used_memory": 300 * 2**20}, OK, "300 MiB used; the store tells no limit"),
    ],
)
def test_what_memory_is_left_is_told(fields: dict[str, int], level: Level, what: str) -> None:
    found = store_findings.memory(info(**fields))
    assert found.level is level
    assert what in found.what


def test_a_replica_and_a_store_that_loads_take_no_writes() -> None:
    assert store_findings.role(info(role="master")) is None
    replica = store_findings.role(info(role="slave", master_host="first", master_port=6379))
    assert replica is not None
    assert (replica.level, "replica of first:6379" in replica.what) == (FAIL, True)
    loading = store_findings.role(info(role="master", loading=1))
    assert loading is not None
    assert loading.level is FAIL


def test_a_cluster_will_do_while_one_address_answers_for_all() -> None:
    assert store_findings.cluster(info(cluster_enabled=0), {}).level is OK
    assert store_findings.cluster(info(cluster_enabled=1), {}).level is OK
    found = store_findings.cluster(info(cluster_enabled=1), {"vms": "MOVED 7 b:6379"})
    assert found.level is FAIL
    assert "queue vms: MOVED 7 b:6379" in found.what


@pytest.mark.parametrize(
    ("offset_s", "doubt_s", "level", "what"),
    [
        (0.0, 0.0002, OK, "within 0.001 s"),
        (-1.5, 0.01, OK, "within 1.510 s"),
        (2.2, 0.5, OK, "within"),
        (60.0, 0.01, WARN, "60.0 s behind the store's"),
        (-60.0, 0.01, WARN, "60.0 s ahead of the store's"),
        (400.0, 0.01, WARN, "AWS refuses what it signs"),
    ],
)
def test_clocks_that_differ_are_told(offset_s: float, doubt_s: float, level: Level, what: str) -> None:
    found = store_findings.clock(offset_s, doubt_s)
    assert found.level is level
    assert what in found.what


# --- the way in -------------------------------------------------------------------------------

PLAIN, TLS = Address("cache", password="hunter2"), Address("cache", tls=True, ca_file="ca.pem")


def caused(by: BaseException) -> StoreError:
    error = StoreUnavailable("The store cannot be used.")
    error.__cause__ = by
    return error


@pytest.mark.parametrize(
    ("address", "cause", "what", "remedy"),
    [
        (PLAIN, socket.gaierror(-2, "Name or service not known"), "no address is known for", "DNS"),
        (PLAIN, ConnectionRefusedError(111, "refused"), "nothing listens on cache:6379", "Start the store"),
        (PLAIN, TimeoutError("timed out"), "does not answer in time", "security group"),
        (TLS, TimeoutError("timed out"), "does not answer in time", "security group"),
        (TLS, TimeoutError("_ssl.c:1: The handshake operation timed out"), "not to TLS", "redis://"),
        (PLAIN, ConnectionResetError(104, "reset"), "without an answer", "rediss://"),
        (PLAIN, OSError("it is no store that answers: HTTP"), "is no store", "rediss://"),
        (TLS, ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "does not speak TLS", "redis://"),
        (TLS, ConnectionResetError(104, "reset"), "does not speak TLS", "redis://"),
        (TLS, ConnectionRefusedError(111, "refused"), "nothing listens", "Start the store"),
        (TLS, ssl.SSLCertVerificationError(1, "expired"), "is not trusted", "ssl_ca_certs"),
        (TLS, FileNotFoundError(2, "No such file"), "ca.pem cannot be read", "ssl_ca_certs"),
        (TLS, ssl.SSLError(1, "NO_CERTIFICATE_OR_CRL_FOUND"), "ca.pem holds no certificate", "PEM"),
        (Address(path="/run/s"), FileNotFoundError(2, "No such file"), "the socket /run/s", "path"),
        (PLAIN, OSError(113, "No route to host"), "cannot be used", "look again"),
    ],
)
def test_each_way_to_be_kept_out_has_its_own_remedy(
    address: Address, cause: BaseException, what: str, remedy: str
) -> None:
    found = barred(address, caused(cause))
    assert found.level is FAIL
    assert what in found.what
    assert remedy in found.remedy
    assert "hunter2" not in found.what + found.remedy


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        ("NOAUTH Authentication required.", "wants a password"),
        ("WRONGPASS invalid username-password pair", "refuses the user or the password"),
        ("ERR AUTH <password> called without any password configured", "refuses the user or the password"),
        ("NOPERM this user has no permissions to run the 'evalsha' command", "lacks a permission"),
        (
            "LOADING Redis is loading the dataset in memory",
            "cannot be used: The store is loading its data",
        ),
    ],
)
def test_what_the_store_says_at_the_door_is_told(reply: str, what: str) -> None:
    error = explain(reply)
    assert isinstance(error, StoreError)
    found = barred(PLAIN, error)
    assert (found.level, what in found.what) == (FAIL, True), found


# --- settings, tasks, queues ------------------------------------------------------------------

OPEN = Gate(accepting=True, reason="", retry_after=0, epoch=3, changed_ms=0)
SHUT = Gate(accepting=False, reason="upgrade", retry_after=0, epoch=4, changed_ms=0)
QUIET = Seen(ready=0, awake=2, free=200, starting=0)


def queue(
    seen: Seen = QUIET,
    *,
    accepting: bool | None = True,
    epoch: int = 3,
    unfinished: int = 0,
    is_paused: bool = False,
) -> Queue:
    return Queue(Copy(accepting, epoch), unfinished, seen, is_paused)


def test_every_problem_of_the_settings_is_a_finding() -> None:
    environ = {"BIDE_CONCURRENCY": "many", "BIDE_WAKE": "shout", "BIDE_REDIS_URL": "redis://:hunter2#@x"}
    _, problems = Settings.read(environ)
    found = server_findings.settings(problems, environ)
    assert [each.level for each in found] == [FAIL] * 3
    assert "hunter2" not in "".join(each.what for each in found)
    assert "BIDE_CONCURRENCY must be a whole number" in found[1].what


def test_a_variable_that_nobody_reads_is_perhaps_another() -> None:
    (found,) = server_findings.settings(
        [], {"BIDE_CONCURENCY": "5", "BIDE_URL": "x", "BIDE_KEY": "y", "HOME": ""}
    )
    assert (found.level, found.remedy) == (WARN, "Set BIDE_CONCURRENCY, if that is meant.")


def test_good_settings_are_counted() -> None:
    (found,) = server_findings.settings([], {"BIDE_CONCURRENCY": "5", "HOME": ""})
    assert found.level is OK
    assert found.what.startswith("1 of ")


def test_who_may_call_is_told() -> None:
    api_keys = server_findings.api_keys
    hashes = (("a", "0" * 64), ("a", "1" * 64), ("b", "2" * 64))
    assert api_keys(Settings()).level is FAIL
    assert "the user who runs it" in api_keys(Settings(local=True)).what
    assert "every user" in api_keys(Settings(local=True, local_open=True)).what
    assert api_keys(Settings(local=True, operator_key_hashes=hashes)).what.startswith("3 keys")
    assert api_keys(Settings(api_key_hashes=hashes)).level is WARN
    mixed = Settings(api_key_hashes=hashes, operator_key_hashes=(("ops", "3" * 64),))
    assert api_keys(mixed) == ok("api keys", "4 keys of 3 tenants, 1 operator key among them")
    assert api_keys(Settings(operator_key_hashes=hashes)).level is OK


@task(queue="vms")
def start(size: int) -> None: ...


def test_tasks_are_counted_and_what_keeps_others_out_is_a_fault() -> None:
    tasks = {"start": start}
    (found,) = server_findings.tasks(Registry(tasks), ["jobs"])
    assert found == ok("tasks", "1 task, for queues default, vms")
    (broken,) = server_findings.tasks(
        Registry(tasks, (LoadProblem("jobs", "jobs.py", 3, "SyntaxError"),)), ["jobs"]
    )
    assert (broken.level, broken.what) == (FAIL, "jobs.py:3: SyntaxError")
    (none,) = server_findings.tasks(Registry({}), ["jobs"])
    assert (none.level, none.what) == (WARN, "none in jobs")


def test_queues_that_have_not_heard_of_the_gate_are_a_fault() -> None:
    assert server_findings.gate(OPEN, {"a": queue(), "b": queue()}).level is OK
    assert server_findings.gate(OPEN, {}) == ok("gate", "open for submissions")
    shut = server_findings.gate(SHUT, {"a": queue(accepting=False, epoch=4)})
    assert shut == ok("gate", "closed (upgrade) for submissions, as queue a knows")
    for other in (queue(), queue(accepting=None, epoch=4), queue(accepting=True, epoch=4)):
        found = server_findings.gate(SHUT, {"a": queue(accepting=False, epoch=4), "b": other})
        assert found.level is FAIL
        assert "queue b has not heard" in found.what
        assert "`bide server close`" in found.remedy


def test_many_queues_are_not_all_named() -> None:
    found = server_findings.gate(OPEN, {f"q{n}": queue(epoch=1) for n in range(8)})
    assert "queues q0, q1, q2, q3, q4 and 3 more have not heard" in found.what


def test_a_queue_that_nobody_serves_is_told_while_it_has_tasks() -> None:
    assert server_findings.queues({}, ["default"]) == ok("queues", "none has had a task yet")
    queues = {"default": queue(unfinished=2), "old": queue(unfinished=1_000, is_paused=True)}
    assert server_findings.queues(queues, ["default", "old"]) == ok(
        "queues", "2, 1 of them paused, with 1,002 unfinished tasks"
    )
    found = server_findings.queues(queues, ["default"])
    assert (found.level, "queue old: 1,000 unfinished tasks" in found.what) == (WARN, True)
    assert server_findings.queues(queues | {"old": queue()}, ["default"]).level is OK


def test_tasks_without_workers_are_a_fault_and_too_few_workers_are_told() -> None:
    limits = {"a": Limits(0, 4, 100), "b": Limits(2, 4, 100)}
    assert server_findings.workers({"a": queue(Seen(0, 0, 0, 0)), "b": queue()}, limits).level is OK
    assert server_findings.workers({"a": queue(Seen(9, 0, 0, 1))}, limits).level is OK
    stuck = server_findings.workers({"a": queue(Seen(9, 0, 0, 0)), "b": queue()}, limits)
    assert (stuck.level, "queue a: 9 tasks ready" in stuck.what) == (FAIL, True)
    few = server_findings.workers({"b": queue(Seen(0, 1, 100, 0))}, limits)
    assert few.level is WARN
    assert server_findings.workers({"a": queue(Seen(9, 0, 0, 0), is_paused=True)}, limits).level is OK
    assert server_findings.workers({"elsewhere": queue(Seen(9, 0, 0, 0))}, limits).level is OK


# --- findings ---------------------------------------------------------------------------------


def test_a_finding_has_a_remedy_when_something_is_wrong_and_only_then() -> None:
    with pytest.raises(ValueError, match="remedy"):
        Finding("store", FAIL, "it is broken")
    with pytest.raises(ValueError, match="remedy"):
        Finding("store", OK, "it is well", "Mend it.")


def test_findings_are_printed_in_columns_and_harmlessly() -> None:
    found = [ok("store", "well"), warn("eviction", "a\x1b[2J\nb", "Mend it."), fail("a", "b", "Do.")]
    assert lines(found) == [
        "ok    store     well",
        "warn  eviction  a\\u001b[2J b",
        "                -> Mend it.",
        "fail  a         b",
        "                -> Do.",
    ]
    assert summary(found) == "1 ok, 1 warn, 1 fail"


def test_findings_are_broken_into_lines_where_there_is_little_room() -> None:
    found = [
        warn("store", "a clause that is longer than the line", "Mend http://a.long.place.example:8000/it.")
    ]
    assert lines(found, 37) == [
        "warn  store  a clause that is longer",
        "             than the line",
        "             -> Mend",
        "                http://a.long.place.example:8000/it.",
    ]
    assert lines(found, 20) == lines(found), "or left to the terminal where there is next to none"
