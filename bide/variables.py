"""What variables of the environment may hold. Pure.

Each function reads a text, or raises ValueError with a message that continues the name of the
variable and shows nothing of a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from bide.address import Address
from bide.autoscaler import Limits

MEMORY_MB: Final = 512
"""Memory of the drain function unless a setting says otherwise."""

NAME: Final = re.compile(r"[a-z0-9_-]{1,64}")
"""What queue, event and tag names look like."""

_HASH: Final = re.compile(r"(?:(?P<tenant>[a-z0-9_-]{1,64})=)?(?P<digest>[0-9a-f]{64})")
_LIMITS: Final = re.compile(
    r"(?P<queue>[a-z0-9_-]{1,64})=(?P<least>\d{1,4})-(?P<most>\d{1,4})(?:x(?P<places>[1-9]\d{0,4}))?"
)
_PACKAGE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def flag(raw: str) -> bool:
    if raw.lower() in ("1", "true", "yes", "on"):
        return True
    if raw.lower() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("must be 1 or 0")


def whole(low: int, high: int) -> Callable[[str], int]:
    def read(raw: str) -> int:
        if not re.fullmatch(r"\d{1,12}", raw) or not low <= int(raw) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(raw)

    return read


def seconds(low: float, high: float) -> Callable[[str], float]:
    def read(raw: str) -> float:
        if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", raw) or not low <= float(raw) <= high:
            raise ValueError(f"must be a number of seconds from {low:g} to {high:g}")
        return float(raw)

    return read


def redis_url(raw: str) -> str:
    Address.of(raw)
    return raw


def name(raw: str) -> str:
    if not NAME.fullmatch(raw):
        raise ValueError("must match [a-z0-9_-]{1,64}")
    return raw


def names(raw: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in raw.split(",") if part.strip())
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(f"holds {name!r}; names must match [a-z0-9_-]{{1,64}}")
    return names


def packages(raw: str) -> tuple[str, ...]:
    packages = tuple(part.strip() for part in raw.split(",") if part.strip())
    if not packages:
        raise ValueError("must name at least one package, such as workers.tasks")
    for package in packages:
        if not _PACKAGE.fullmatch(package):
            raise ValueError(f"holds {package!r}, which is no dotted package name")
    return packages


def queue_limits(raw: str) -> tuple[tuple[str, Limits], ...]:
    found = {}
    for part in filter(None, (part.strip() for part in raw.split(","))):
        match = _LIMITS.fullmatch(part)
        if match is None:
            raise ValueError(f"holds {part!r}; write QUEUE=MIN-MAX or QUEUE=MIN-MAXxPLACES, as vms=0-2x50")
        least, most, places = int(match["least"]), int(match["most"]), int(match["places"] or 0)
        if least > most or most < 1:
            raise ValueError(f"holds {part!r}; MAX must be at least 1, and not below MIN")
        found[match["queue"]] = Limits(least, most, places)
    return tuple(found.items())


def key_hashes(raw: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for part in filter(None, (part.strip() for part in raw.split(","))):
        match = _HASH.fullmatch(part)
        if match is None:
            raise ValueError("must be comma-separated SHA-256 hex digests, each as DIGEST or TENANT=DIGEST")
        pairs.append((match["tenant"] or "default", match["digest"]))
    return tuple(pairs)


def choice(*choices: str) -> Callable[[str], str]:
    def read(raw: str) -> str:
        if raw not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return raw

    return read


def level(raw: str) -> str:
    """A level of logging, in capitals."""
    return choice("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")(raw.upper())


def aws_name(characters: str, most: int) -> Callable[[str], str]:
    """The name of something in AWS, which spells each kind a little differently."""

    def read(raw: str) -> str:
        if not re.fullmatch(rf"[{characters}]{{1,{most}}}", raw):
            raise ValueError(f"must match [{characters}]{{1,{most}}}")
        return raw

    return read


def prices(raw: str) -> tuple[tuple[str, float], ...]:
    from bide.prices import read_prices  # the table is loaded only where prices are set or asked for

    return read_prices(raw)
