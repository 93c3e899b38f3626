"""The trace header, by which a chain of invocations is followed.

Lambda counts in it how often each function was invoked in the chain; the AWS SDK inside a
function passes it on with every call. The count stands under a digest of the function's ARN:
`Root=1-...;Parent=...;Sampled=0;Lineage=1f0b9a2c:3|77d0aa51:1`.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Final
from urllib.parse import unquote

HEADER: Final = "x-amzn-trace-id"

_LINEAGE: Final = "Lineage"


def extend(header: str | None, arn: str) -> tuple[str, int]:
    """The header that an invocation of `arn` runs under, and how often its chain has invoked it with this.

    `header` is that of the request, percent-encoded as the SDK sends it; without one a chain begins.
    """
    fields = _parse(header or "")
    lineage = _counts(fields.get(_LINEAGE, ""))
    key = hashlib.sha256(arn.encode()).hexdigest()[:8]
    lineage[key] = lineage.get(key, 0) + 1
    root = fields.get("Root") or f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    parts = (
        f"Root={root}",
        f"Parent={secrets.token_hex(8)}",
        f"Sampled={fields.get('Sampled', '0')}",
        f"{_LINEAGE}={'|'.join(f'{name}:{count}' for name, count in lineage.items())}",
    )
    return ";".join(parts), lineage[key]


def _parse(header: str) -> dict[str, str]:
    fields = {}
    for part in unquote(header).split(";"):
        name, separator, value = part.strip().partition("=")
        if separator:
            fields[name] = value
    return fields


def _counts(text: str) -> dict[str, int]:
    counts = {}
    for part in text.split("|"):
        name, _, count = part.partition(":")
        if count.isdecimal():
            counts[name] = int(count)
    return counts
