"""First parts of the tests' keys: one for each test, all of a run alike in their own first part."""

from __future__ import annotations

import os
import secrets

import redis

from bide.keys import SERVER_KEYS, SLOT_KEYS, Keys

FIRST = "bide-test-"
"""Of every key that any test makes. `redis-cli --scan --pattern 'bide-test-*'` finds what a kill left."""

_RUN = "PYTEST_BIDE_RUN"
"""Variable that tells the processes of a run what their prefixes begin with."""


def begin_run() -> None:
    """Choose what the prefixes of this run begin with, unless the process that started this one has."""
    os.environ.setdefault(_RUN, f"{FIRST}{secrets.token_hex(4)}")


def new_prefix() -> str:
    """A prefix that nobody else has."""
    return f"{os.environ[_RUN]}-{secrets.token_hex(6)}"


def forget(client: redis.Redis, prefix: str) -> None:
    """Delete the keys that a server under this prefix has. Looks at no others, however many there are."""
    keys = Keys(prefix)
    slots = {"default", *(name.decode() for name in client.smembers(keys.server(["slots"])[0]))}
    for slot in slots:
        client.unlink(*keys.slot(slot, SLOT_KEYS))
    client.unlink(*keys.server(SERVER_KEYS))


def sweep(client: redis.Redis) -> None:
    """Delete every key of this run."""
    with client.pipeline(transaction=False) as pipeline:
        for key in client.scan_iter(match=f"{os.environ[_RUN]}-*", count=1000):
            pipeline.unlink(key)  # one by one: a cluster has them in many slots
        pipeline.execute()
