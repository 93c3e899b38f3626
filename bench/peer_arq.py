"""arq's side of the comparison: its worker's settings; `python -m bench.peer_arq COUNT SECONDS` submits.

Runs in the environment of bench/requirements-arq.txt; imports nothing of Bide.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from arq import create_pool  # type: ignore[import-not-found, unused-ignore]
from arq.connections import RedisSettings  # type: ignore[import-not-found, unused-ignore]


async def pause(_: dict[str, Any], seconds: float, value: int) -> int:
    await asyncio.sleep(seconds)
    return value


def encode(record: Any) -> bytes:
    return json.dumps(record).encode()


class WorkerSettings:
    """Read by the `arq` command."""

    functions = (pause,)
    redis_settings = RedisSettings.from_dsn(os.environ["PEER_STORE"])
    max_jobs = 10_000
    job_serializer = staticmethod(encode)
    job_deserializer = staticmethod(json.loads)


async def _submit(count: int, seconds: float) -> None:
    pool = await create_pool(
        WorkerSettings.redis_settings, job_serializer=encode, job_deserializer=json.loads
    )
    for value in range(count):
        await pool.enqueue_job("pause", seconds, value)
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(_submit(int(sys.argv[1]), float(sys.argv[2])))
