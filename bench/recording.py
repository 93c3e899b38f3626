"""What recording costs: the no-op drain with logs, attempts and series, and without, in turn."""

from __future__ import annotations

from collections.abc import Iterator

from bench.bed import bed
from bench.drain import WORKERS, drain
from bench.line import Line, at_most
from bench.sample import alternate, median, spread
from bench.spinner import core_awake


def measure(quick: bool) -> Iterator[Line]:
    rounds, tasks = (3, 15_000) if quick else (7, 40_000)
    with bed() as store, core_awake():
        pairs = alternate(
            rounds,
            lambda: drain(store, tasks, {"BIDE_LOG_FORMAT": "json"})[0],
            lambda: drain(store, tasks, {"BIDE_RECORDS": "0"})[0],
        )
    recorded, bare = zip(*pairs, strict=True)
    lost = [100 * (1 - on / off) for on, off in pairs]
    note = f"{rounds} pairs of drains of {tasks:,} tasks, {WORKERS} worker processes, logs to a file"
    yield Line(
        "recording", "what recording takes of the no-op drain rate", median(lost), "%", at_most(15),
        spread(lost), note,
    )  # fmt: skip
    yield Line("recording", "tasks drained, recorded", median(recorded), "/s", spread=spread(recorded))
    yield Line("recording", "tasks drained, with BIDE_RECORDS=0", median(bare), "/s", spread=spread(bare))
