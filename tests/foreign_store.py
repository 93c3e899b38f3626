"""A store that is not the tests' own: `BIDE_REDIS_URL=redis://... make test`.

The store suite alone runs there then: what asks a server for what Valkey and Redis have in
common. It shares the server with whoever uses it: every key of a run begins alike (see
prefixes.py), is deleted at its end, and nothing else is touched. No test flushes, sets a
configuration, or ends somebody's connection.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bide.address import Address
from bide.connection import Client
from bide.errors import StoreError
from bide.operate.entrance import barred
from bide.operate.finding import Finding, Level
from bide.operate.store_findings import role, version
from bide.store_info import StoreInfo

ROOT = Path(__file__).parents[1]

SUITE = (
    Path("tests/store"),
    Path("tests/worker/test_worker_faults.py"),
    Path("tests/worker/test_worker_kill_points.py"),
)
"""What runs against a foreign store. The two of workers lose each of their calls to it once."""


def url() -> str:
    """The foreign store's URL; empty for a Valkey of the tests' own."""
    return os.environ.get("BIDE_REDIS_URL", "").strip()


def is_in_suite(path: Path) -> bool:
    """Whether a file of tests, or a folder with such, belongs to the store suite."""
    inside = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return any(inside.is_relative_to(part) or part.is_relative_to(inside) for part in SUITE)


def unfit(item: pytest.Item) -> str:
    """Why a test cannot run there, as a clause after "that"; empty when it can.

    Markers say so: `own_server(why)`; `plain_tcp` and `with_password`, for what needs a URL of that kind.
    """
    own = item.get_closest_marker("own_server")
    if own is not None:
        return str(own.args[0])
    address = Address.of(url())
    if item.get_closest_marker("plain_tcp") and (address.tls or address.path):
        return "look at what goes over plain TCP: for them, BIDE_REDIS_URL must be a redis:// one"
    if item.get_closest_marker("with_password") and not address.password:
        return "leave the password out: for them, BIDE_REDIS_URL must have one"
    return ""


def greet(url: str) -> str:
    """The server's name, version and place. Raises Refused."""
    try:
        address = Address.of(url)
    except ValueError as error:
        raise Refused(f"BIDE_REDIS_URL {error}.") from None
    client = Client(address)
    try:
        info = StoreInfo.of(client.execute_command("INFO"))
    except StoreError as error:
        raise Refused(_sentences(barred(address, error))) from None
    finally:
        client.close()
    for finding in (version(info), role(info)):
        if finding is not None and finding.level is Level.FAIL:
            raise Refused(_sentences(finding))
    return f"{info.server.capitalize()} {info.version} at {address.place}"


class Refused(Exception):
    """The store suite cannot run there."""


def _sentences(finding: Finding) -> str:
    return f"{finding.what[0].upper()}{finding.what[1:]}. {finding.remedy}"
