"""Submitting through the store, against a bare script of six commands."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import redis

from bench.bed import Bed, bed, submission
from bench.line import Line, at_least, at_most
from bench.relay import relay
from bench.sample import alternate, median, spread
from bench.spinner import core_awake
from bide.connection import connect

_BARE: Final = """\
redis.call('HMGET', KEYS[1], 'accepting', 'reason', 'retry_after')
redis.call('HEXISTS', KEYS[3], ARGV[1])
local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
redis.call('ZADD', KEYS[4], seq, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
return seq
"""
"""What any submission must do at the least: look at the gate and for a repeat, number, queue, record."""

_SPEC: Final = b"s" * 45
_RUN: Final = b"r" * 30
"""As long as the records that Bide writes for the same submission."""

_SUBMISSION: Final = submission("noop", '{"value":12345}')


def measure(quick: bool) -> Iterator[Line]:
    with bed() as store:
        yield _round_trips(store, 50 if quick else 500)
        yield from _rates(store, rounds=10 if quick else 40, calls=500 if quick else 1000)


def _round_trips(store: Bed, calls: int) -> Line:
    with relay(store.url) as counted:
        submitting = store.store(counted.url)
        submitting.submit(_SUBMISSION)  # connects, registers the queue and loads the script
        counted.reset()
        for _ in range(calls):
            submitting.submit(_SUBMISSION)
        value = counted.round_trips / calls
        submitting.client.close()
    return Line("submit", "round trips of one submit", value, "", at_most(1), note=f"{calls} submits")


def _rates(store: Bed, rounds: int, calls: int) -> Iterator[Line]:
    submitting, bare, lean = store.store(), redis.Redis.from_url(store.url), connect(store.url)
    sha = str(bare.script_load(_BARE))
    sides = _ours(submitting.submit, calls), _bare(partial(bare.evalsha, sha), calls)
    with core_awake():
        for side in sides:
            side()  # warm up
        pairs = alternate(rounds, *sides)
        over_ours = [_bare(partial(lean.execute_command, "EVALSHA", sha), calls)() for _ in range(3)]
    submitting.client.close()
    bare.close()
    lean.close()
    ours, theirs = zip(*pairs, strict=True)
    ratios = [own / reference for own, reference in pairs]
    note = f"{rounds} rounds of {calls:,} each"
    yield Line(
        "submit", "rate against a bare six-command EVALSHA", median(ratios), "x", at_least(0.85),
        spread(ratios), note,
    )  # fmt: skip
    yield Line("submit", "Store.submit, one after another", median(ours), "/s", spread=spread(ours))
    yield Line(
        "submit", "the bare EVALSHA, redis-py's own client", median(theirs), "/s", spread=spread(theirs)
    )
    yield Line(
        "submit", "the bare EVALSHA, Bide's connection", median(over_ours), "/s", spread=spread(over_ours)
    )


def _ours(submit: Callable[..., object], calls: int) -> Callable[[], float]:
    """A round of submits; returns how many there were a second."""

    def run() -> float:
        started = time.perf_counter()
        for _ in range(calls):
            submit(_SUBMISSION)
        return calls / (time.perf_counter() - started)

    return run


def _bare(evalsha: Callable[..., object], calls: int) -> Callable[[], float]:
    """A round of bare scripts, with arguments made beforehand; returns how many there were a second."""
    keys = [f"bare:{{q.default}}:{name}" for name in ("meta", "specs", "runs", "ready")]

    def run() -> float:
        ids = [os.urandom(16) for _ in range(calls)]
        started = time.perf_counter()
        for id in ids:
            evalsha(4, *keys, id, _SPEC, _RUN)
        return calls / (time.perf_counter() - started)

    return run
