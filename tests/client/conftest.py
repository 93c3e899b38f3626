"""A stub server, a client of it, and the command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bide_client import Client
from bide_client.cli import main

from .ran import Bide, Ran
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


@pytest.fixture
def served(stub: StubServer, monkeypatch: pytest.MonkeyPatch) -> StubServer:
    """The stub, named by BIDE_URL."""
    monkeypatch.setenv("BIDE_URL", stub.url)
    return stub


@pytest.fixture
def bide(capsys: pytest.CaptureFixture[str]) -> Bide:
    """Run `bide` in this process."""

    def run(*words: str) -> Ran:
        try:
            code = main(words)
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run
