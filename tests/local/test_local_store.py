"""The embedded store."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from stack_process import gone

from local.children import ROOT
from local.store import EmbeddedStore, StoreFailed
from local.tether import Guard


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / 'a "quoted" folder')
    store.start()
    yield store
    store.stop()


def value(store: EmbeddedStore, key: str) -> object:
    with redis.Redis.from_url(store.url) as client:
        return client.get(key)


def put(store: EmbeddedStore, key: str, text: str) -> None:
    with redis.Redis.from_url(store.url) as client:
        client.set(key, text)


def test_data_survives_a_stop(store: EmbeddedStore) -> None:
    put(store, "key", "kept")
    store.stop()
    store.start()
    assert value(store, "key") == b"kept"


def test_data_survives_a_kill(store: EmbeddedStore) -> None:
    put(store, "key", "kept")
    store.kill()
    assert store.wait() == -signal.SIGKILL
    store.start()
    assert value(store, "key") == b"kept"


def test_a_restart_keeps_the_address_and_the_password(store: EmbeddedStore) -> None:
    before = store.url
    store.stop()
    assert store.start() == before


def test_another_object_finds_the_data_of_the_folder(store: EmbeddedStore, tmp_path: Path) -> None:
    put(store, "key", "kept")
    store.stop()
    second = EmbeddedStore(tmp_path / 'a "quoted" folder')
    second.start()
    try:
        assert value(second, "key") == b"kept"
    finally:
        second.stop()


def test_a_store_left_on_the_folder_is_ended_first(store: EmbeddedStore, tmp_path: Path) -> None:
    put(store, "key", "kept")
    second = EmbeddedStore(tmp_path / 'a "quoted" folder')
    second.start()
    try:
        assert store.wait() == 0
        assert value(second, "key") == b"kept"
    finally:
        second.stop()


def test_nobody_enters_without_the_password(store: EmbeddedStore) -> None:
    address = store.url.partition("@")[2]
    with redis.Redis.from_url(f"redis://{address}") as client, pytest.raises(redis.AuthenticationError):
        client.get("key")


def test_the_password_is_neither_on_the_command_line_nor_readable_for_others(
    store: EmbeddedStore, tmp_path: Path
) -> None:
    password = store.url.split(":")[2].partition("@")[0]
    assert password not in " ".join(psutil.Process(store.pid).cmdline())
    for path in (tmp_path / 'a "quoted" folder').rglob("*"):
        if path.is_file() and password.encode() in path.read_bytes():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_store_that_cannot_start_says_why(store: EmbeddedStore, tmp_path: Path) -> None:
    store.stop()
    broken = tmp_path / 'a "quoted" folder' / "appendonlydir"
    next(broken.glob("*.manifest")).write_text("nonsense\n")
    with pytest.raises(StoreFailed, match="ended with code 1"):
        store.start()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone does this")
def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from local.store import EmbeddedStore\n"
        "store = EmbeddedStore(Path(sys.argv[1])); store.start()\n"
        "print(store.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        orphan = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    assert gone([orphan])


def test_a_guard_kills_the_store_when_its_parent_is_gone() -> None:
    with subprocess.Popen(["sleep", "60"]) as guarded:
        guard = Guard(guarded.pid)
        os.close(guard._shell.stdin.fileno())  # type: ignore[union-attr]  # what the end of the parent does
        assert guarded.wait(5) == -signal.SIGKILL


def test_a_dismissed_guard_kills_nothing() -> None:
    with subprocess.Popen(["sleep", "60"]) as guarded:
        guard = Guard(guarded.pid)
        guard.dismiss()
        assert guarded.poll() is None
        guarded.kill()
