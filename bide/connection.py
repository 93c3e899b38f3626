"""Connections to the store: one place for time limits, retries and the parser."""

from __future__ import annotations

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

CONNECT_S = 2.0
REPLY_S = 5.0
_RETRIES = 3
_RETRIED = (RedisConnectionError, RedisTimeoutError)
"""A repeated script answers as the first time did, so that every call may be retried."""


def _backoff() -> ExponentialBackoff:
    return ExponentialBackoff(cap=0.5, base=0.02)


def connect(url: str) -> redis.Redis:
    """A synchronous client with a pool; connects at the first command."""
    return redis.Redis.from_url(
        url,
        protocol=2,
        lib_name=None,
        lib_version=None,
        socket_connect_timeout=CONNECT_S,
        socket_timeout=REPLY_S,
        retry=Retry(_backoff(), _RETRIES, supported_errors=_RETRIED),
    )


def connect_async(url: str, *, reply_s: float | None = REPLY_S) -> redis.asyncio.Redis:
    """An asyncio client; `reply_s` None for connections that block on the bell."""
    return redis.asyncio.Redis.from_url(
        url,
        protocol=2,
        lib_name=None,
        lib_version=None,
        socket_connect_timeout=CONNECT_S,
        socket_timeout=reply_s,
        retry=AsyncRetry(_backoff(), _RETRIES, supported_errors=_RETRIED),
    )
