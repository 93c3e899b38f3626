"""Life in a slot for as long as one likes: every feature, in an order that a seed gives."""

from __future__ import annotations

import random
from contextlib import suppress
from itertools import chain, repeat
from typing import Any

from hand_clock import HandClock
from scripted_worker import (
    LEASE_MS,
    Hire,
    ScriptedWorker,
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

from bide.bulk import EVERY, Bulk, Kind, Wanted
from bide.errors import Refused
from bide.exchange import Lease, Message, Usage
from bide.gate import Gatekeeper
from bide.ids import TaskId, parse_id
from bide.listing import NEWEST, Filter, Listing
from bide.poller import Poller
from bide.reads import Reads
from bide.store import Store
from bide.wake import NoWake, Waker

RETENTIONS_MS = (1, 1_000, 60_000, 86_400_000)
LONGEST_MS = 10 * 86_400_000
"""After so long nothing is kept of a task that has finished, nor of a worker that is silent."""
TENANTS = ("", "acme")
TRACEBACK = b'{"code":"ValueError","message":"no","traceback":"' + b"frame " * 60 + b'"}'


def poller(name: str) -> Poller:
    return Poller(name, len, batch=100, every_s=5, spacing_s=0, queue="default", place="")


POLLERS = (poller("addresses"), poller("states"))


class Soak:
    """One slot with three workers at a time, each of which may be replaced, or die."""

    def __init__(self, store: Store, hire: Hire, clock: HandClock, seed: int) -> None:
        self._store, self._hire, self._clock = store, hire, clock
        self._random = random.Random(seed)
        self._hired = 0
        self._bulk = Bulk(store, Waker(store, NoWake()))
        self._workers = [self._next_worker() for _ in range(3)]
        self._held: dict[str, list[Lease]] = {}
        self._recent: list[tuple[TaskId, str]] = []
        self.submitted = 0
        self.listeners = 0
        """How many there were at once, at most."""

    # --- a while ------------------------------------------------------------------------------

    def live(self, rounds: int) -> None:
        """So many rounds of submissions, of what clients do with tasks, and of work."""
        for number in range(rounds):
            for _ in range(self._random.randint(1, 15)):
                self._submit()
            for _ in range(3):
                self._ask()
            for place in range(len(self._workers)):
                self._work(place)
            self._clock.pass_ms(self._random.choice((1, 50, 900, 4_000, 12_000)))
            if number % 10 == 0:
                self._store.tick("default", self._store.begin_turn())
                self._gate()

    def _submit(self) -> None:
        tenant = self._random.choice(TENANTS)
        number = self._random.randint(1, 10**9)
        given: dict[str, Any] = {
            "tenant": tenant,
            "name": self._random.choice(("echo", "fetch", "provision")),
            "priority": self._random.choice((0, 0, 5, 9)),
            "tags": self._random.choice(((), ("a",), ("a", "b", "c"))),
            "retention_ms": self._random.choice(RETENTIONS_MS),
            "max_attempts": self._random.choice((1, 2, 5)),
            "delay_ms": self._random.choice((0, 0, 0, 500, 30_000)),
            "expires_ms": self._random.choice((0, 0, 2_000)),
            "deadline_ms": self._random.choice((0, 0, 20_000)),
            "unique": self._random.choice(("", "", f"u{number % 7}", f"u{number}")),
            "args": '{"value":"' + "x" * self._random.choice((1, 100, 2_000)) + '"}',
        }
        if self._random.random() < 0.3:
            given |= {
                "idempotency_key": f"k{self._random.choice((number % 5, number))}",
                "fingerprint": b"f" * 16,
            }
        with suppress(Refused):
            id = self._store.submit(submission(**given), rate_limit=self._random.choice((0, 0, 50))).id
            self._recent.append((id, tenant))
            self.submitted += 1

    def _ask(self) -> None:
        """What a client may do with a task."""
        if not self._recent:
            return
        id, tenant = self._random.choice(self._recent[-40:])
        reads, listing = Reads(self._store), Listing(self._store)
        name = self._random.choice(("go", "stop"))
        act = self._random.choice((
            lambda: self._store.cancel(id, tenant),
            lambda: self._store.send_event(id, tenant, name, b'{"by":"Ada"}', key=self._random.choice("ab")),
            lambda: self._store.send_event(id, tenant, name, b"null"),
            lambda: self._store.erase(id, tenant),
            lambda: self._store.retry(id, tenant),
            lambda: self._store.retry(id, tenant),
            lambda: reads.task(id, tenant),
            lambda: listing.page(tenant, Filter(state="failed"), 5, {"default": NEWEST}),
            lambda: self._store.hold(f"h{self._random.random()}", 1_000, 5),
        ))  # fmt: skip
        with suppress(Refused):
            act()

    def _gate(self) -> None:
        gate = Gatekeeper(self._store)
        gate.close("for a moment", 1)
        self._submit()
        gate.open()
        self._store.pause("default", self._random.random() < 0.3)
        kind = self._random.choice((Kind.REDRIVE, Kind.PURGE))
        wanted = self._random.choice((EVERY, Wanted(name="echo"), Wanted(tag="a")))
        with suppress(Refused):
            is_trial, rate = self._random.random() < 0.5, self._random.choice((0, 5))
            self._bulk.begin("default", kind, wanted, dry_run=is_trial, rate=rate, goes_on=lambda: rate == 0)

    # --- work ---------------------------------------------------------------------------------

    def _next_worker(self) -> ScriptedWorker:
        self._hired += 1
        return self._hire(f"worker {self._hired}")

    def _work(self, place: int) -> None:
        """One turn of a worker, after which it may leave, or die with all that it holds."""
        worker = self._workers[place]
        held = self._held.pop(worker.name, [])
        for first in range(0, len(held), 100):
            worker.heartbeat(*held[first : first + 100])
        kept: list[Lease] = []
        messages: list[Message] = []
        for lease in held:
            said = self._poll(lease) if lease.is_poller else self._run(lease)
            messages += said
            kept += [] if said and said[-1].verb not in ("journal", "progress", "watch", "lines") else [lease]
        reply = worker.exchange(
            *messages[:90],
            capacity=self._random.choice((0, 5, 40)),
            listen_ms=self._random.choice((0, 5_000)),
            lived_ms=self._random.randint(0, 900),
        )
        if self._random.random() < 0.2:
            worker.repeat()
        listening = self._store.command("ZCARD", self._store.keys.slot("default", ["listeners"])[0])
        self.listeners = max(self.listeners, listening)
        self._held[worker.name] = kept + list(reply.leases)
        chance = self._random.random()
        if chance < 0.08:
            worker.retire(forced=self._random.random() < 0.5)
        if chance < 0.16:  # gone, or dead
            del self._held[worker.name]
            self._workers[place] = self._next_worker()

    def _run(self, lease: Lease) -> list[Message]:
        """What a task says in one turn; the last message ends its lease, unless it goes on."""
        usage = Usage(billed_us=self._random.randint(0, 9_000), waited_ms=3, replays=1, polls=2)
        home = self._random.choice(POLLERS)
        token = f"~1.{lease.attempt}"
        _, _, waits = home.member(self._random.randint(1, 9), str(lease.id), token).partition("\0")
        position = lease.run.journal + 1
        return self._random.choice((
            [],
            [progress(lease, b'{"fraction":0.5,"message":"half"}')],
            [lines(lease, *[b"what it has logged"] * self._random.randint(1, 30))],
            [entry(lease, position, b"e" * 40), settle(lease, "succeeded", b'"ok"' * 30, usage=usage)],
            [settle(lease, "succeeded", b"1", usage=usage)],
            [lines(lease, b"it fails"), settle(lease, "failed", TRACEBACK, usage=usage)],
            [settle(lease, "retrying", TRACEBACK, delay_ms=2_000, usage=usage)],
            [settle(lease, "ready")],
            [settle(lease, "cancelled")],
            [entry(lease, position), park(lease, "go", delay_ms=5_000, usage=usage)],
            [entry(lease, position), entry(lease, position + 1), park(lease, "go stop", usage=usage)],
            [exits(lease), entry(lease, position), park(lease, "go", delay_ms=5_000, usage=usage)],
            [exits(lease), settle(lease, "failed", TRACEBACK, usage=usage._replace(exits=1))],
            [watch(home.home.key, home.name, waits), park(lease, token, delay_ms=60_000)],
            [unwatch(home.home.key, home.name, waits), settle(lease, "succeeded", b"null")],
        ))  # fmt: skip

    def _poll(self, lease: Lease) -> list[Message]:
        """A poller's round: everybody who waits is told, and waits no more."""
        mine = next(poller for poller in POLLERS if poller.home.key == lease.id.key)
        told: list[Message] = []
        for watcher in Reads(self._store).watchers(mine)[:20]:
            told.append(unwatch(mine.home.key, mine.name, watcher.member.partition("\0")[2]))
        return [*told, settle(lease, "polled", mine.name.encode(), delay_ms=5_000)]

    # --- and its end --------------------------------------------------------------------------

    def end(self) -> None:
        """All that is unfinished ends, all workers leave, and what is kept for a time runs out."""
        for worker in self._workers:
            worker.retire(forced=True)
        self._store.pause("default", False)
        last = self._next_worker()
        while unfinished := self._unfinished():
            for id, tenant in unfinished:
                with suppress(Refused):
                    self._store.cancel(id, tenant)
            self._clock.pass_ms(LEASE_MS + 1)  # whoever held them is gone
            self._bulk.go_on("default", chain([True] * 10, repeat(False)).__next__)
            self._store.tick("default", self._store.begin_turn())
            self._finish(last)
        self._clock.pass_ms(60_000)
        self._finish(last)  # pollers look once more, and find nobody left
        last.retire(forced=True)
        self._clock.pass_ms(LONGEST_MS)
        while self._store.tick("default", self._store.begin_turn()).pruned:
            pass  # a hundred at a time
        self._held, self._recent = {}, []
        self._workers = [self._next_worker() for _ in range(3)]

    def _unfinished(self) -> list[tuple[TaskId, str]]:
        return [
            (TaskId(view.queue, parsed.key), tenant)
            for tenant in TENANTS
            for view in Listing(self._store).all(tenant, ["default"])
            if not view.run.state.done and (parsed := parse_id(view.id))
        ]

    def _finish(self, worker: ScriptedWorker) -> None:
        while leases := worker.lease(40):
            told = [message for lease in leases if lease.is_poller for message in self._poll(lease)]
            worker.exchange(*(settle(each, "cancelled") for each in leases if not each.is_poller), *told)
