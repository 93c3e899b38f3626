"""Reads from the store: what changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from redis.exceptions import RedisError

from bide import scripts
from bide.errors import TaskNotFound
from bide.ids import TaskId
from bide.records import Run, Spec, TaskView, Totals
from bide.store import Store, translate

_spec = msgspec.msgpack.Decoder(Spec).decode
_run = msgspec.msgpack.Decoder(Run).decode


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """What the store says of itself."""

    server: str
    """`valkey` or `redis`."""
    version: str
    durability: str
    """`aof` (how often it is synced, the store does not tell), `rdb`, or `none`."""
    ping_ms: float


class Reads:
    """Questions to the store. Every one may raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def task(self, id: TaskId, tenant: str) -> TaskView:
        """The task as it stands, in one round trip.

        Raises TaskNotFound when there is none, or it belongs to another tenant.
        """
        script = scripts.load("show")
        client = self._store.client
        try:
            reply = script.run(client, self._store.keys.slot(id.slot, script.keys), id.key)
        except RedisError as error:
            raise translate(error, client) from error
        if not reply:
            raise TaskNotFound
        spec = _spec(reply[0])
        if spec.tenant != tenant:
            raise TaskNotFound
        return TaskView(str(id), id.slot, spec, _run(reply[1]), reply[2], id.submitted_ms, reply[3])

    def totals(self) -> Totals:
        """What all tasks of all queues came to. One round trip a queue."""
        sums = dict.fromkeys(Totals.__struct_fields__, 0)
        for slot in self._store.slots():
            key = self._store.keys.slot(slot, ("stats",))[0]
            values = self._store.command("HMGET", key, *sums)
            for name, value in zip(sums, values, strict=True):
                sums[name] += int(value or 0)
        return Totals(**sums)

    def health(self) -> StoreHealth:
        """Reach the store, and ask what would survive its death."""
        client, local = self._store.client, self._store.clock.local
        try:
            before = local()
            client.ping()
            ping_ms = (local() - before) * 1000
            info: dict[str, Any] = client.info("server", "persistence")
        except RedisError as error:
            raise translate(error, client) from error
        name = "valkey" if "valkey_version" in info else "redis"
        if info.get("aof_enabled"):
            durability = "aof"
        elif info.get("rdb_last_save_time") and info.get("rdb_saves"):
            durability = "rdb"
        else:
            durability = "none"
        return StoreHealth(name, str(info[f"{name}_version"]), durability, round(ping_ms, 3))
