"""One long play that makes every script run every command it has."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from itertools import chain
from typing import Any

from hand_clock import HandClock
from scripted_worker import (
    LEASE_MS,
    Hire,
    deliver,
    entry,
    exits,
    lines,
    park,
    progress,
    settle,
    unwatch,
    watch,
)
from submissions import submission

from bide.autoscaler import Reason
from bide.bulk import KEPT, Bulk, Kind, Wanted
from bide.crew import SILENT_MS, crew
from bide.errors import Refused, ScriptError
from bide.exchange import Usage
from bide.gate import Gatekeeper
from bide.ids import TaskId
from bide.line import KEPT as KEPT_LINES
from bide.listing import NEWEST, Filter, Listing, Position
from bide.reads import Reads
from bide.records import INLINE_BYTES
from bide.store import FORGET_MS, Store
from bide.tally import DAY_MS, DAYS
from bide.wake import NoWake, Waker

AWAKE_MS = 30_000
KEYED: dict[str, Any] = {"idempotency_key": "k", "fingerprint": b"f" * 16}


def play(store: Store, hire: Hire, clock: HandClock) -> None:
    """Run it, on an empty store."""
    _gate(store)
    _submissions(store, hire)
    _kept_and_erased(store, hire)
    _a_busy_worker(store, hire, clock)
    _neglect(store, hire, clock, hire("janitor").exchange)
    _neglect(store, hire, clock, lambda: store.tick("default", 0))
    _heir(store, hire)
    _waiting(store, hire, clock)
    _last_attempts(store, hire, clock)
    _ends(store, hire, clock)
    _polling(store, hire, clock)
    _leaving(store, hire, clock)
    _fleet(store, hire, clock)
    _pausing(store, hire, clock)
    _looks(store, hire, clock)
    _again(store, hire, clock)
    _days(store, hire, clock)
    _holds(store)


def _gate(store: Store) -> None:
    gate = Gatekeeper(store)
    store.submit(submission())
    stale = gate.close("x").epoch
    _refused(store)
    gate.open()
    store.slot_script("apply_gate", "default", "0", "x", 0, stale)


def _refused(store: Store, rate_limit: int = 0, **fields: Any) -> None:
    with contextlib.suppress(Refused):
        store.submit(submission(**fields), rate_limit=rate_limit)
        raise AssertionError("this was to be refused")


def _submissions(store: Store, hire: Hire) -> None:
    hire("listener").exchange(capacity=10, listen_ms=10**9)
    store.submit(submission(**KEYED))
    store.submit(submission(**KEYED))
    _refused(store, **KEYED | {"fingerprint": b"g" * 16})
    store.submit(submission(tenant="acme"), rate_limit=1)
    _refused(store, tenant="acme", rate_limit=1)
    store.submit(submission(delay_ms=60_000))
    early = store.submit(submission(delay_ms=1_000)).id
    store.cancel(early, "")
    Reads(store).task(early, "")
    store.cancel(store.submit(submission()).id, "")
    store.cancel(store.submit(submission()).id, "")


def _kept_and_erased(store: Store, hire: Hire) -> None:
    """More than a page of the log; tasks on the open page and on a full one are erased."""
    store.submit(submission(unique="one"))
    _refused(store, unique="one")
    ids = [store.submit(submission(tags=("a",), idempotency_key=str(n), unique=str(n))).id for n in range(30)]
    with contextlib.suppress(Refused):
        store.erase(ids[0], "")
        raise AssertionError("this was to be refused")
    for id in ids:
        store.cancel(id, "")
    hire_failed = [settle(lease, "failed") for lease in hire("failing").lease(2)]
    hire("failing", boot=2).exchange(*hire_failed)
    position: Position | None = {"default": NEWEST}
    while position is not None:
        position = Listing(store).page("", Filter(), 1, position).next
    list(Listing(store).all("", ["default"], Filter(state="failed")))
    for id in ids:
        _say_something(store, id)
        store.erase(id, "")


def _say_something(store: Store, id: TaskId) -> None:
    """As if the task had logged two lines."""
    (lines,) = store.keys.slot("default", ("lines",))
    numbered = {id.key + n.to_bytes(4, "big"): b"line" for n in (1, 2)}
    store.command("HSET", lines, id.key, (2).to_bytes(4, "big"), *chain.from_iterable(numbered.items()))


def _have_said_all(store: Store, id: TaskId) -> None:
    """As if the task had logged as many lines as are kept."""
    store.command("HSET", store.keys.slot("default", ("lines",))[0], id.key, KEPT_LINES.to_bytes(4, "big"))
    assert Reads(store).lines(id, "", KEPT_LINES - 1, 100).next == KEPT_LINES


def _take_tokens(store: Store) -> None:
    """As listeners do; the next ring has somebody to ring for."""
    store.command("DEL", *store.keys.slot("default", ("bell",)))


def _a_busy_worker(store: Store, hire: Hire, clock: HandClock) -> None:
    for _ in range(8):
        store.submit(submission(retention_ms=1_000, args='{"value":"' + "x" * INLINE_BYTES + '"}'))
    _take_tokens(store)
    worker = hire("busy")
    leases = worker.lease(8)
    worker.repeat()
    store.cancel(leases[7].id, "")
    worker.heartbeat(*leases)
    worker.exchange(
        settle(leases[0], "succeeded", b"1"),
        settle(leases[1], "failed", b"2"),
        settle(leases[2], "retrying", b"3", delay_ms=5),
        settle(leases[3], "ready"),
        settle(leases[4], "succeeded", fence=10**6),
        settle(leases[7], "cancelled"),
        capacity=1,
    )
    worker.repeat()
    clock.pass_ms(5)
    worker.exchange(*(settle(lease, "succeeded", b"1") for lease in leases[5:7]))
    with contextlib.suppress(ScriptError):
        hire("busy", boot=0).exchange()
        raise AssertionError("this was to be superseded")


def _neglect(store: Store, hire: Hire, clock: HandClock, upkeep: Callable[[], object]) -> None:
    """Leave something of each kind to promote, to reap and to prune."""
    for max_attempts in (1, 2, 2, 5):
        store.submit(submission(max_attempts=max_attempts))
    asked, called = store.submit(submission()).id, store.submit(submission()).id
    dead = hire(f"dead {clock.ms}")
    dead.exchange(*(exits(lease) for lease in dead.lease() if lease.id == asked))
    store.send_event(called, "", "go", b"1")
    for id in (asked, called):
        store.cancel(id, "")
    store.submit(submission(delay_ms=5))
    key = f"of {upkeep}"
    keyed: dict[str, Any] = {"idempotency_key": key, "fingerprint": b"f" * 16, "unique": key}
    done = store.submit(submission(**keyed, retention_ms=1)).id
    store.cancel(done, "")
    _say_something(store, done)
    revived = store.keys.slot("default", ("revived",))[0]
    for times in (1, 2):
        again = store.submit(submission(retention_ms=1)).id
        store.cancel(again, "")
        store.command("HSET", revived, again.key, times)
    _take_tokens(store)
    clock.pass_ms(LEASE_MS)
    upkeep()


def _heir(store: Store, hire: Hire) -> None:
    heir = hire("heir")
    isolated = next(lease for lease in heir.lease() if lease.isolated)
    heir.exchange(settle(isolated, "ready"))


def _waiting(store: Store, hire: Hire, clock: HandClock) -> None:
    """Tasks that park, are sent events and are cancelled, one of them in each way."""
    worker = hire("waiter")
    ids = [store.submit(submission(max_attempts=1)).id for _ in range(7)]
    while leases := worker.lease(isolate=False):
        ours = {lease.id: lease for lease in leases if lease.id in ids}
        worker.exchange(*(settle(lease, "succeeded") for lease in leases if lease.id not in ids))
        if len(ours) == len(ids):
            break
    due, called, early, quiet, asked, stubborn, dropped = (ours[id] for id in ids)
    for talker in (early, due):
        _have_said_all(store, talker.id)
    store.send_event(early.id, "", "go", b"1")
    worker.exchange(
        entry(due, 1), progress(due, b"{}"), lines(due, b"line"), entry(early, 1), park(due, delay_ms=5),
        park(called, "go"), park(early, "go"), park(quiet, "go"),
        exits(asked), park(asked, "go", usage=Usage(1, 2, 3, 4, 5, 6)), exits(stubborn), park(stubborn, "go"),
        park(dropped, "go", delay_ms=60_000),
    )  # fmt: skip
    clock.pass_ms(1)
    store.send_event(called.id, "", "go", b"1", key="k", rate_limit=1)
    store.send_event(called.id, "", "go", b"1", key="k", rate_limit=1)
    with contextlib.suppress(Refused):
        store.send_event(called.id, "", "go", b"2", key="k")
        raise AssertionError("this was to be refused")
    Reads(store).unread_events(called.id, "go")
    store.send_event(dropped.id, "", "other", b"1")
    for id in (asked.id, dropped.id):
        store.cancel(id, "")
    store.send_event(stubborn.id, "", "go", b"1")
    store.cancel(stubborn.id, "")
    clock.pass_ms(5)
    resumed = {lease.id: lease for lease in worker.lease(isolate=False)}
    worker.repeat()
    Reads(store).awaiting("default", [(quiet.id.key, 1)])
    store.cancel(early.id, "")
    again = resumed.pop(early.id)
    worker.exchange(exits(again), park(again, "stop"))
    worker.exchange(
        entry(resumed[called.id], 1, event=1),
        *(settle(lease, "succeeded") for lease in resumed.values()),
        deliver(quiet.id.key, "go"),
        deliver(quiet.id.key, "go"),
    )


def _last_attempts(store: Store, hire: Hire, clock: HandClock) -> None:
    """Tasks that resume their last attempt, called back in each way."""
    worker = hire("last")
    ids = [store.submit(submission(max_attempts=2)).id for _ in range(3)]
    dead = hire(f"dead {clock.ms}")
    dead.exchange(*(entry(lease, 1) for lease in dead.lease()))
    clock.pass_ms(LEASE_MS)
    parked: list[TaskId] = []
    while len(parked) < len(ids):
        (lease,) = (each for each in worker.lease(1))
        assert lease.isolated
        worker.exchange(park(lease, "go") if lease.id in ids else settle(lease, "failed"))
        parked += [lease.id] if lease.id in ids else []
    for call_back in (
        lambda: store.cancel(parked[0], ""),
        lambda: store.send_event(parked[1], "", "go", b"1"),
        lambda: worker.exchange(deliver(parked[2].key, "go")),
    ):
        _take_tokens(store)
        call_back()


def _ends(store: Store, hire: Hire, clock: HandClock) -> None:
    ender = hire("ender").exchange
    for number, upkeep in enumerate((lambda: store.tick("default", 0), ender) * 2):
        store.submit(submission(expires_ms=5))
        store.submit(submission(expires_ms=5, deadline_ms=9))
        waiting = store.submit(submission(deadline_ms=5)).id
        worker = hire(f"parker {number}")
        leases = worker.lease(isolate=False)
        worker.exchange(
            *(park(lease) if lease.id == waiting else settle(lease, "succeeded") for lease in leases[1:])
        )
        store.submit(submission(expires_ms=5, retention_ms=86_400_000))  # on one shelf, all of them
        clock.pass_ms(5)
        upkeep()


def _polling(store: Store, hire: Hire, clock: HandClock) -> None:
    home = b"p" * 16
    worker = hire("poller")
    worker.exchange(watch(home, "vms", "a"), watch(home, "vms", "a"), watch(home, "vms", "b"))
    clock.pass_ms(5)
    (lease,) = (each for each in worker.lease(isolate=False) if each.is_poller)
    worker.exchange(settle(lease, "polled", b"vms", delay_ms=0), unwatch(home, "vms", "a"))


def _leaving(store: Store, hire: Hire, clock: HandClock) -> None:
    store.submit(submission())
    assert not hire("heir", boot=2).retire()
    _take_tokens(store)
    hire("heir").retire(forced=True)
    clock.pass_ms(FORGET_MS)
    store.submit(submission(delay_ms=60_000))
    last = hire("last of all")
    last.exchange()
    last.retire(forced=True)
    store.arm("default", clock.ms + 1_000)
    store.arm("default", clock.ms + 2_000)
    clock.pass_ms(FORGET_MS)
    store.tick("default", 0)


def _fleet(store: Store, hire: Hire, clock: HandClock) -> None:
    """Each script that may start workers finds one silent, and a start that has come to nothing."""
    parker = hire("parker")
    while leases := parker.lease(isolate=False):
        parker.exchange(*(settle(lease, "succeeded") for lease in leases))
    called, cleaned = (store.submit(submission()).id for _ in range(2))
    for lease in parker.lease(2, isolate=False):
        parker.exchange(exits(lease), park(lease, "go"))
    parker.retire(forced=True)
    store.submit(submission())
    stranger = hire("stranger")
    for number, make in enumerate(
        (
            lambda: store.submit(submission()),
            lambda: store.send_event(called, "", "go", b"1"),
            lambda: store.cancel(cleaned, ""),
            lambda: stranger.exchange(free=-1),
            lambda: hire("stranger").retire(forced=True),
            lambda: store.tick("default", 0),
            lambda: store.note_starts("default", Reason.READY, 1),
        )
    ):
        hire(f"silent {number}").exchange(free=1_000)
        clock.pass_ms(AWAKE_MS - 5_000)
        store.note_starts("default", Reason.READY, 1)
        clock.pass_ms(5_001)
        store.note_starts("default", Reason.READY, 1)
        clock.pass_ms(10_001)
        make()
    store.note_starts("default", Reason.READY, 1)
    clock.pass_ms(10_001)
    Reads(store).fleet("default")
    store.submit(submission(delay_ms=10**9))
    hire("silent at last").exchange(free=1_000)
    clock.pass_ms(AWAKE_MS + 1)
    store.note_starts("default", Reason.READY, 1)
    epoch = store.begin_turn()
    store.tick("default", epoch)
    store.tick("default", epoch, afresh=True)
    store.note_starts("default", Reason.READY, 1, epoch)


def _pausing(store: Store, hire: Hire, clock: HandClock) -> None:
    """A resumption that finds a worker silent, a start that has come to nothing, and a bell to ring."""
    hire("listener that fell silent").exchange(capacity=1, free=1_000, listen_ms=10**9)
    store.note_starts("default", Reason.READY, 1)
    clock.pass_ms(AWAKE_MS + 1)
    store.pause("default", True)
    store.submit(submission())
    store.submit(submission(delay_ms=10**9))
    _take_tokens(store)
    store.pause("default", False)
    store.pause("default", True)
    store.note_starts("default", Reason.READY, 1)
    store.pause("default", False)


def _looks(store: Store, hire: Hire, clock: HandClock) -> None:
    """Whoever looks at a queue that has tasks to tell of, held by a worker that has been silent for long."""
    store.submit(submission())
    hire("holder").exchange(capacity=1, lease_ms=10**9)
    clock.pass_ms(SILENT_MS + 1)
    store.submit(submission())
    Reads(store).depth("default")
    crew(store, ("default",), lambda _: False)


def _again(store: Store, hire: Hire, clock: HandClock) -> None:
    """Failed tasks are retried, redriven and purged; whoever is rung, started or counted on is there once."""

    def fail(count: int, **fields: Any) -> list[TaskId]:
        ids = [store.submit(submission(max_attempts=2, expires_ms=10**9, **fields)).id for _ in range(count)]
        worker = hire(f"failing {clock.ms}")
        while leases := worker.lease():
            worker.exchange(*(settle(lease, "failed", b"{}") for lease in leases))
        worker.retire(forced=True)
        clock.pass_ms(1)
        return ids

    def neglect() -> None:
        """A listener and another worker fall silent, and a start comes to nothing."""
        hire(f"listener {clock.ms}").exchange(capacity=1, listen_ms=10**9)
        hire(f"silent {clock.ms}").exchange(free=1_000)
        clock.pass_ms(AWAKE_MS + 1)
        store.note_starts("default", Reason.READY, 1)
        clock.pass_ms(10_001)
        _take_tokens(store)

    bulk = Bulk(store, Waker(store, NoWake()))
    (id,) = fail(1, unique="u")
    neglect()
    store.retry(id, "")
    store.retry(id, "")
    Reads(store).attempts(id, "")
    worker = hire("second attempt")
    worker.exchange(*(park(lease, "go") for lease in worker.lease() if lease.id == id))
    store.cancel(id, "")
    fail(120)
    fail(1, unique="free")
    fail(1, unique="v")
    store.submit(submission(unique="v"))
    neglect()
    bulk.begin("default", Kind.REDRIVE, dry_run=False, rate=100, goes_on=lambda: True)
    fail(1)
    for _ in range(KEPT):
        bulk.begin("default", Kind.PURGE, Wanted(name="none"), dry_run=False, goes_on=lambda: True)
        clock.pass_ms(1)
    lined = fail(1)[0]
    store.command("HSET", *store.keys.slot("default", ("lines",)), lined.key, (3).to_bytes(4, "big"))
    fail(1, **KEYED | {"unique": "w"})
    bulk.begin("default", Kind.PURGE, dry_run=False, goes_on=lambda: True)


def _days(store: Store, hire: Hire, clock: HandClock) -> None:
    """Something to count on a day so late that the day before it is folded, by whoever counts."""
    worker = hire("of many days")
    for act in ("cancel", "event", "tick", "exchange", "retire"):
        worker.exchange(lived_ms=1)
        while leases := worker.lease():
            worker.exchange(*(settle(lease, "failed") for lease in leases))
        id = store.submit(submission(expires_ms=10 * DAYS * DAY_MS if act == "tick" else 0)).id
        if act == "event":
            worker.exchange(park(worker.lease_one(), "go"))
        clock.pass_ms(DAYS * DAY_MS)
        match act:
            case "cancel":
                store.cancel(id, "")
            case "event":  # twice, while nobody is awake
                store.send_event(id, "", "go", b"1", key="k")
                store.send_event(id, "", "go", b"1", key="k")
            case "tick":
                clock.pass_ms(9 * DAYS * DAY_MS)
                store.tick("default", store.begin_turn())
            case "exchange":
                worker.exchange(lived_ms=1)
            case "retire":
                worker.leave(lived_ms=1, forced=True)


def _holds(store: Store) -> None:
    assert [store.hold("a", 1_000, 1), store.hold("b", 1_000, 1)] == [True, False]
    store.release_hold("a")
