"""A stub server, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bide_client import Client

from .stub_server import StubServer


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own server and key stay out of the tests."""
    monkeypatch.delenv("BIDE_URL", raising=False)
    monkeypatch.delenv("BIDE_KEY", raising=False)


@pytest.fixture
def stub() -> Iterator[StubServer]:
    """A server whose whole script must have been played when the test ends."""
    with StubServer() as server:
        yield server
    assert server.unplayed == []


@pytest.fixture
def client(stub: StubServer) -> Iterator[Client]:
    """A client of the stub."""
    with Client(stub.url) as connected:
        yield connected
