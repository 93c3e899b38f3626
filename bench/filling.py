"""Fills a store with very many tasks, by the real scripts, and finishes some as a worker would."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from bench.errors import BenchFailed
from bide import scripts
from bide.address import Address
from bide.async_connection import connect_async
from bide.autoscaler import Departure
from bide.clock import Clock
from bide.connection import Argument, Client
from bide.exchange import BATCH, Lease, Message, Settlement, Usage
from bide.keys import Keys
from bide.store import Store
from bide.submission import Submission

_TOGETHER: Final = 500
"""Submissions that share a round trip."""
_LEASE_MS: Final = 60_000


class Pipeline(Client):
    """A client that keeps submissions back, and sends hundreds of them in one round trip.

    The first is sent as usual; each further one is answered at once, as the first was. The next are
    made while a thread awaits the replies; `flush` awaits all, and fails unless every one was accepted.
    """

    def __init__(self, url: str) -> None:
        super().__init__(Address.of(url))
        self._submit = scripts.load("submit")
        self._first: list[Any] = []
        self._kept: list[tuple[Argument, ...]] = []
        self._sender = ThreadPoolExecutor(1)
        self._sent: Future[list[Any]] | None = None

    def execute_command(self, *args: Argument) -> Any:
        if args[:2] != ("EVALSHA", self._submit.sha):
            return super().execute_command(*args)
        if not self._first:
            self._first = super().execute_command(*args)
            return self._first
        self._kept.append(args)
        if len(self._kept) == _TOGETHER:
            self._send()
        id = args[3 + len(self._submit.keys) + self._submit.args.index("id")]
        return [self._first[0], id, *self._first[2:]]

    def flush(self) -> None:
        """Send what was kept, and return when everything has been accepted. Raises BenchFailed."""
        self._send()
        self._await_replies()
        self._sender.shutdown()

    def _send(self) -> None:
        self._await_replies()
        if self._kept:
            self._sent = self._sender.submit(self.transaction, *self._kept)
            self._kept = []

    def _await_replies(self) -> None:
        replies = self._sent.result() if self._sent else []
        self._sent = None
        if any(reply[0] != b"OK" or reply[2] != 1 for reply in replies):
            raise BenchFailed("a submission was not accepted")


def fill(url: str, keys: Keys, tasks: int, nth: Callable[[int], Submission]) -> list[bytes]:
    """Submit so many tasks, the nth as `nth` says, counted from 0; returns their ids in the store."""
    with_scripts = Store(Client(Address.of(url)), keys, Clock())
    first = with_scripts.submit(nth(0)).id.key  # loads the script
    for queue in {nth(number).queue for number in range(min(tasks, 1_000))}:
        with_scripts.register(queue)
    with_scripts.client.close()
    pipeline = Pipeline(url)
    store = Store(pipeline, keys, Clock())
    ids = [first, *(store.submit(nth(number)).id.key for number in range(1, tasks))]
    pipeline.flush()
    pipeline.close()
    return ids


async def finish(
    url: str, keys: Keys, queue: str, tasks: int, outcome: Callable[[int], tuple[Settlement, bytes]]
) -> None:
    """Lease so many tasks of a queue, the oldest first, and settle the nth as `outcome` says."""
    store = Store(Client(Address.of(url)), keys, Clock())
    client = connect_async(url)
    messages: list[Message] = []
    leased = ended = seq = 0
    while ended < tasks:
        seq += 1
        reply = await store.exchange(
            client, queue, worker="finisher", boot=1, seq=seq, messages=messages,
            capacity=min(BATCH, tasks - leased), free=BATCH, lease_ms=_LEASE_MS, isolate=False,
            listen_ms=0, lived_ms=1, asked_at=0.0,
        )  # fmt: skip
        if reply.lost:
            raise BenchFailed("a lease was lost")
        ended += len(messages)
        messages = [_settled(lease, *outcome(leased + n)) for n, lease in enumerate(reply.leases)]
        leased += len(messages)
        if not messages and ended < tasks:
            raise BenchFailed(f"{ended:,} tasks could be leased of {queue}, not {tasks:,}")
    store.retire(queue, "finisher", 0, 0, Departure.IDLE, forced=True)
    await client.aclose()
    store.client.close()


def _settled(lease: Lease, settlement: Settlement, outcome: bytes) -> Message:
    """The end of an attempt that took some of its worker's time."""
    usage = Usage(billed_us=1_234, active_ms=3)
    return Message(lease.id.key, lease.fence, settlement, 0, outcome, usage.packed())
