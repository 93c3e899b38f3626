"""Celery's side of the comparison: the app, and `python -m bench.peer_celery COUNT SECONDS` to submit.

Runs in the environment of bench/requirements-celery.txt; imports nothing of Bide.
"""

from __future__ import annotations

import os
import sys
import time

import celery  # type: ignore[import-not-found, unused-ignore]

app = celery.Celery("peer", broker=os.environ["PEER_STORE"], backend=os.environ["PEER_STORE"])
app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,  # what is taken is also begun
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


def pause(seconds: float, value: int) -> int:
    """Under gevent this `time.sleep` is the one that yields."""
    time.sleep(seconds)
    return value


pause_task = app.task(name="pause")(pause)


def main() -> None:
    count, seconds = int(sys.argv[1]), float(sys.argv[2])
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for value in range(count):
            pause_task.apply_async((seconds, value), producer=producer)


if __name__ == "__main__":
    main()
