"""The classic without a queue: a Flask server whose requests do the job themselves, on fifty threads.

`python -m bench.classic_flask` prints its port. Runs in the environment of
bench/requirements-flask.txt; imports nothing of Bide.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import flask  # type: ignore[import-not-found, unused-ignore]
import waitress  # type: ignore[import-not-found, import-untyped, unused-ignore]

THREADS = 50
MOST_CONNECTIONS = 5_000

app = flask.Flask("classic")


def healthz() -> dict[str, Any]:
    """What the probe asks."""
    return {"status": "ok"}


def jobs() -> dict[str, Any]:
    """Do the job, and answer with its result."""
    job = flask.request.get_json()
    time.sleep(job["seconds"])
    return {"done": True, "result": job["value"]}


app.add_url_rule("/healthz", view_func=healthz)
app.add_url_rule("/jobs", view_func=jobs, methods=["POST"])


def main() -> None:
    logging.getLogger("waitress").setLevel(logging.ERROR)  # it warns of each request that has to wait
    server = waitress.create_server(
        app, host="127.0.0.1", port=0, threads=THREADS, connection_limit=MOST_CONNECTIONS, backlog=1024,
        asyncore_use_poll=True,
    )  # fmt: skip
    print(server.effective_port, flush=True)
    server.run()


if __name__ == "__main__":
    main()
