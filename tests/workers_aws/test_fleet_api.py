"""The API and AWS: it is called when a worker must be started, and not otherwise."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invocations import Invocations
from proxy_events import IN_A_SCRIPT

from bide.settings import Settings
from bide.store import Store
from local import ports

ROOT = Path(__file__).parents[2]

_SUBMITS = (
    IN_A_SCRIPT
    + """
import asyncio, json, os, sys
from app import app
from bide.clock import Clock
from bide.async_connection import connect_async
from bide.connection import connect
from bide.keys import Keys
from bide.settings import Settings
from bide.store import Store

settings = Settings.from_environ(os.environ)
store = Store(connect(settings.redis_url), Keys(settings.prefix), Clock())

async def awake():
    client = connect_async(settings.redis_url)
    await store.exchange(client, "default", worker="w", boot=1, seq=1, messages=(), capacity=0,
                         lease_ms=60000, isolate=False, listen_ms=60000, lived_ms=0, free=100,
                         asked_at=store.clock.local())
    await client.aclose()

if not store.slots():
    store.register("default")
if sys.argv[1:] == ["awake"]:
    asyncio.run(awake())
served = [app(ECHO, None)["statusCode"] for _ in range(5)]
loaded = sorted({"boto3", "bide.worker.worker"} & set(sys.modules))
print(json.dumps({"served": served, "loaded": loaded}))
"""
)


def run(*arguments: str, **variables: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", _SUBMITS, *arguments],
        env={**os.environ, **variables, "BIDE_API_KEY_HASHES": hashlib.sha256(b"key").hexdigest()},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_nothing_of_aws_is_loaded_or_called_while_a_worker_is_awake(
    configure: Callable[..., Settings], store: Store, invocations: Invocations
) -> None:
    configure()
    assert run("awake") == {"served": [202] * 5, "loaded": []}
    assert invocations.seen == []


def test_a_worker_is_started_where_none_is_awake_and_once_for_all_that_it_has_places_for(
    configure: Callable[..., Settings], store: Store, invocations: Invocations
) -> None:
    configure()
    assert run() == {"served": [202] * 5, "loaded": ["boto3"]}
    assert invocations.hops == [0]


def test_an_aws_that_is_away_takes_no_202_back(configure: Callable[..., Settings], store: Store) -> None:
    configure()
    dead = f"http://{ports.LOOPBACK}:{ports.free_port()}"
    found = run(AWS_ENDPOINT_URL=dead, AWS_ENDPOINT_URL_LAMBDA=dead)
    assert found == {"served": [202] * 5, "loaded": ["boto3"]}
