"""A lane between its worker and its queue: what it hears although an exchange is just under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from bide.async_connection import connect_async
from bide.exchange import ExchangeReply, Lease
from bide.store import Store
from bide.submission import Submission
from bide.worker.lane import REFRESH_S, Lane
from bide.worker.room import Isolation, Room

SLOT = "here"
PATIENCE_S = REFRESH_S / 2
"""A lane that has not heard of something looks again by itself only after `REFRESH_S`."""


class LateReplies(Store):
    """A store whose replies to exchanges can be held up."""

    between: Callable[[], object] | None = None
    """Called once the store has answered, before the lane hears of it; then no more."""
    answered = 0

    async def exchange(self, *args: Any, **options: Any) -> ExchangeReply:
        reply = await super().exchange(*args, **options)
        self.answered += 1
        between, self.between = self.between, None
        if between is not None:
            between()
        return reply


class Post:
    """A worker as far as a lane sees it; it keeps what it is to start."""

    name, boot, lease_ms = "worker", 1, 600_000

    def __init__(self) -> None:
        self.lane: Lane
        self.isolation = Isolation(lambda: self.lane.nudge(isolation=True))
        self.places = Room(10, lambda: self.lane.nudge())
        self.leases: asyncio.Queue[Lease] = asyncio.Queue()

    def room(self, slot: str) -> Room:
        return self.places

    def start(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            self.leases.put_nowait(lease)

    def cancel(self, slot: str, keys: Sequence[bytes]) -> None: ...

    def call_for(self, slot: str, workers: int) -> None: ...

    def unreported_ms(self) -> int:
        return 0


@pytest.fixture
def late(store: Store) -> LateReplies:
    return LateReplies(store.client, store.keys, store.clock)


def submit(store: Store) -> None:
    store.submit(Submission("task", "{}", SLOT, "", 2, 60_000))


def at_work(store: Store, url: str, scenario: Callable[[Lane, Post], Awaitable[None]]) -> None:
    """Play it with a lane that runs."""

    async def play() -> None:
        post = Post()
        post.lane = Lane(post, store, SLOT, lambda reply_s: connect_async(url, reply_s=reply_s))
        runs = asyncio.create_task(post.lane.run())
        async with asyncio.timeout(PATIENCE_S):
            await scenario(post.lane, post)
        post.lane.close()
        await runs

    asyncio.run(play())


async def listens(store: Store) -> None:
    """Wait until somebody does."""
    (listeners,) = store.keys.slot(SLOT, ("listeners",))
    while not store.command("ZCARD", listeners):
        await asyncio.sleep(0.005)


def test_a_place_that_a_suspect_leaves_without_a_word_goes_to_the_next(
    late: LateReplies, store_url: str
) -> None:
    """As when its lease is lost: nothing is settled, which would be a reason to look."""

    async def scenario(lane: Lane, post: Post) -> None:
        for _ in range(2):
            submit(late)
        held = [await post.leases.get() for _ in range(2)]
        while late.answered < 2:  # another turn, as the first has given places back
            await asyncio.sleep(0.005)
        (leased,) = late.keys.slot(SLOT, ("leased",))
        for lease in held:
            late.command("ZADD", leased, 0, lease.id.key)
        late.tick(SLOT, 0)  # each has one attempt left
        first = await post.leases.get()
        post.isolation.release()
        second = await post.leases.get()
        assert first.isolated
        assert second.isolated
        assert first.id != second.id

    at_work(late, store_url, scenario)


def test_a_queue_that_is_resumed_before_the_reply_comes_that_told_of_its_pause_is_heard_of(
    late: LateReplies, store_url: str
) -> None:
    late.pause(SLOT, True)
    submit(late)
    late.between = lambda: late.pause(SLOT, False)

    async def scenario(lane: Lane, post: Post) -> None:
        await post.leases.get()

    at_work(late, store_url, scenario)


def test_a_lane_that_is_to_go_on_before_the_reply_comes_that_it_leases_nothing_more_goes_on(
    late: LateReplies, store_url: str
) -> None:
    async def scenario(lane: Lane, post: Post) -> None:
        await listens(late)
        late.between = lambda: lane.lead_out(False)
        lane.lead_out()
        while late.between is not None:
            await asyncio.sleep(0.005)
        await listens(late)
        submit(late)
        await post.leases.get()

    at_work(late, store_url, scenario)


def test_places_that_come_while_an_exchange_asks_for_none_are_offered_at_once(
    late: LateReplies, store_url: str
) -> None:
    async def scenario(lane: Lane, post: Post) -> None:
        await listens(late)
        taken = post.places.reserve(10)  # by another queue's lane
        late.between = lambda: post.places.release(taken)
        lane.lead_out(False)  # a reason for an exchange
        while late.between is not None:
            await asyncio.sleep(0.005)
        await listens(late)

    at_work(late, store_url, scenario)


def test_a_bell_that_fails_in_a_way_nobody_thought_of_is_logged_and_heard_again(
    late: LateReplies, store_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    listen, failed = Lane._listen, set[str]()

    async def fail(self: Lane, bell: str, gate: asyncio.Event) -> None:
        if bell not in failed:
            failed.add(bell)
            raise RuntimeError("nobody thought of this")
        await listen(self, bell, gate)

    monkeypatch.setattr(Lane, "_listen", fail)

    async def scenario(lane: Lane, post: Post) -> None:
        await listens(late)
        submit(late)
        await post.leases.get()

    at_work(late, store_url, scenario)
    assert "nobody thought of this" in caplog.text
