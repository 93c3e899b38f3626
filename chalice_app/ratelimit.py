"""The `RateLimit` headers (draft-ietf-httpapi-ratelimit-headers)."""

from __future__ import annotations

import math
from typing import Final

_POLICY: Final = "submit"


def headers(limit: int, left: int, retry_after_ms: int = 1000) -> dict[str, str]:
    """For `limit` submissions and events a second of which `left` are still allowed; more are after
    `retry_after_ms`.
    """
    seconds = math.ceil(retry_after_ms / 1000)
    return {
        "RateLimit-Policy": f'"{_POLICY}";q={limit};w=1',
        "RateLimit": f'"{_POLICY}";r={left};t={seconds}',
    }


def headers_after(limit: int, burst_left: int | None) -> dict[str, str]:
    """After one that was accepted; none without a limit, and for a repeat."""
    return {} if burst_left is None else headers(limit, burst_left)
