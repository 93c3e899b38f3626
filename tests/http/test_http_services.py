"""What the process is given: settings, tasks, and what happens when they are wrong."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from api_client import Api
from chalice.test import Client

from bide.errors import RegistryError, SettingsError
from bide.settings import Settings
from chalice_app import services
from chalice_app.errors import NotConfigured
from chalice_app.services import PROVIDER, Provider, Services, build

BROKEN = """\
with open("{imports}", "a") as imports:
    imports.write("x")

def connect(url):
    raise OSError(f"no route to {{url}}")

connect("postgres://bide:hunter2@db.internal/jobs")
"""


@pytest.fixture
def broken_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with one module that works and one that does not."""
    package = tmp_path / "half_broken"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "fine.py").write_text("from bide import task\n\n@task\ndef fine() -> None: ...\n")
    (package / "broken.py").write_text(BROKEN.format(imports=tmp_path / "imports"))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield package.name
    for name in [name for name in sys.modules if name.startswith(package.name)]:
        del sys.modules[name]


@pytest.fixture
def from_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Let the app build its services from these variables."""

    def arrange(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        PROVIDER.use(None)

    yield arrange
    PROVIDER.use(None)


def test_services_are_built_from_the_environment_at_the_first_request(
    from_environment: Callable[..., None], client: Client, settings: Settings
) -> None:
    from_environment(
        BIDE_REDIS_URL=settings.redis_url,
        BIDE_PREFIX=settings.prefix,
        BIDE_TASKS="http_tasks",
        BIDE_LOCAL="1",
    )
    assert Api(client).submit("house.keep").status == 202
    assert PROVIDER.get().settings.prefix == settings.prefix


@pytest.mark.parametrize("path", ["/v1/server", "/healthz", "/", "/nowhere"])
def test_wrong_settings_are_named_in_every_answer(
    from_environment: Callable[..., None], client: Client, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    from_environment(BIDE_REDIS_URL="localhost", BIDE_WAIT_SLOTS="many")
    reply = Api(client).get(path)
    assert (reply.status, reply.code) == (503, "NOT_CONFIGURED")
    assert "BIDE_REDIS_URL, BIDE_WAIT_SLOTS" in reply.json["detail"]
    assert "many" not in reply.json["detail"]
    assert "BIDE_WAIT_SLOTS must be a whole number" in caplog.text


def test_a_missing_store_is_named(
    from_environment: Callable[..., None], client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    from_environment(BIDE_REDIS_URL="")
    reply = Api(client).get("/v1/server")
    assert (reply.status, reply.code) == (503, "NOT_CONFIGURED")
    assert "(BIDE_REDIS_URL)" in reply.json["detail"]
    assert "BIDE_REDIS_URL is not set" in caplog.text


def test_a_store_url_that_cannot_be_read_is_named_without_its_password() -> None:
    with pytest.raises(SettingsError) as caught:
        build(Settings(redis_url="redis://:hunter2@localhost:port/0"))
    assert "BIDE_REDIS_URL" in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("key", [None, "Bearer first"])
def test_a_broken_task_module_stops_a_deployed_server_and_the_log_alone_says_why(
    from_environment: Callable[..., None],
    client: Client,
    settings: Settings,
    broken_tasks: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    key: str | None,
) -> None:
    digest = hashlib.sha256(b"first").hexdigest()
    from_environment(
        BIDE_REDIS_URL=settings.redis_url, BIDE_TASKS=broken_tasks, BIDE_OPERATOR_KEY_HASHES=digest
    )
    api = Api(client)
    for path in ("/healthz", "/", "/openapi.json", "/v1/server", "/nowhere"):
        reply = api.get(path, authorization=key)
        assert (reply.status, reply.code) == (503, "NOT_CONFIGURED")
        assert reply.json["detail"] == "Tasks could not be loaded; the server's log says why."
    assert (tmp_path / "imports").read_text() == "x", "it was imported once, however many asked"
    assert caplog.text.count("broken.py:5: OSError: no route to postgres://bide:hunter2@db.internal") == 1
    assert caplog.text.count("Traceback") == 1
    assert 'connect("postgres' in caplog.text


def test_two_broken_modules_are_logged_with_a_traceback_each(
    from_environment: Callable[..., None],
    client: Client,
    settings: Settings,
    broken_tasks: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / broken_tasks / "empty_handed.py").write_text("import no_such_module_at_all\n")
    from_environment(BIDE_REDIS_URL=settings.redis_url, BIDE_TASKS=broken_tasks)
    assert Api(client).get("/").code == "NOT_CONFIGURED"
    assert "OSError: no route" in caplog.text
    assert "ModuleNotFoundError: No module named 'no_such_module_at_all'" in caplog.text
    assert "several modules failed" in caplog.text


@pytest.mark.parametrize("has_keys", [False, True])
def test_in_local_mode_the_other_tasks_go_on_and_its_user_is_told_what_does_not(
    serve: Callable[[Settings], Services],
    settings: Settings,
    client: Client,
    broken_tasks: str,
    has_keys: bool,
) -> None:
    hashes = (("default", hashlib.sha256(b"first").hexdigest()),) if has_keys else ()
    serve(dataclasses.replace(settings, tasks=(broken_tasks,), api_key_hashes=hashes))
    api = Api(client)
    assert api.submit_raw(b'{"name":"fine"}', authorization="Bearer first").status == 202
    (problem,) = api.get("/healthz", authorization="Bearer first").json["tasks"]["problems"]
    if has_keys:
        assert problem == "A task could not be loaded; the server's log says why."
    else:
        assert "broken.py:5: OSError: no route" in problem


def test_a_dead_store_is_a_503_that_names_no_host_to_strangers(
    serve: Callable[[Settings], Services], settings: Settings, client: Client, tmp_path: Path
) -> None:
    nowhere = f"unix://{tmp_path}/nothing-listens-here"
    for local in (True, False):
        serve(dataclasses.replace(settings, redis_url=nowhere, local=local))
        reply = Api(client).get("/healthz")
        assert (reply.status, reply.code) == (503, "STORE_UNAVAILABLE")
        assert reply.headers["retry-after"] == "1"
        assert ("nothing-listens-here" in reply.json["detail"]) is local


def test_only_tasks_that_stay_at_home_are_registered_outside_local_mode(settings: Settings) -> None:
    assert "reach_out" in build(settings).registry.definitions
    assert "reach_out" not in build(dataclasses.replace(settings, local=False)).registry.definitions


def test_services_are_built_once_however_many_ask_at_first(settings: Settings) -> None:
    built = []
    together = threading.Barrier(8)

    def build_slowly(_make_wake: object) -> Services:
        services = build(settings)
        built.append(services)
        return services

    provider = Provider(build_slowly)
    got: list[Services] = []

    def ask() -> None:
        together.wait()
        got.append(provider.get())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert len(got) == 8
    assert all(services is built[0] for services in got)


FAILED = [SettingsError(["BIDE_CONCURRENCY is wrong (it is 'hunter2')"]), RegistryError("hunter2")]


class Builder:
    """Fails as it is told to, and then builds."""

    def __init__(self, settings: Settings, *failures: Exception) -> None:
        self._settings = settings
        self._failures = list(failures)
        self.calls = 0

    def __call__(self, _make_wake: object) -> Services:
        self.calls += 1
        if self._failures:
            raise self._failures.pop(0)
        return build(self._settings)


@pytest.mark.parametrize("error", FAILED)
def test_a_failed_build_is_remembered_and_what_it_said_is_for_the_log(
    settings: Settings, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    builder = Builder(settings, error)
    provider = Provider(builder)
    for _ in range(3):
        with pytest.raises(NotConfigured) as caught:
            provider.get()
        assert "hunter2" not in caught.value.message
        assert "log says why" in caught.value.message
    assert builder.calls == 1
    assert caplog.text.count("hunter2") == 1


@pytest.mark.parametrize("error", FAILED)
def test_a_failed_build_is_tried_again_after_some_time_and_logged_again_if_it_is_another(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    monkeypatch.setattr(services, "_AGAIN_SECONDS", 0)
    provider = Provider(Builder(settings, error, error, RegistryError("another one")))
    for _ in range(3):
        with pytest.raises(NotConfigured):
            provider.get()
    assert caplog.text.count("hunter2") == 1
    assert caplog.text.count("another one") == 1
    assert provider.get().settings is settings


def test_while_it_is_tried_again_nobody_else_waits(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_AGAIN_SECONDS", 0)
    trying, go_on = threading.Event(), threading.Event()
    failed = Builder(settings, RegistryError("no"))

    def build_slowly(make_wake: object) -> Services:
        if failed.calls:
            trying.set()
            assert go_on.wait(10)
        return failed(make_wake)

    provider = Provider(build_slowly)
    with pytest.raises(NotConfigured):
        provider.get()
    with ThreadPoolExecutor(1) as thread:
        again = thread.submit(provider.get)
        assert trying.wait(10)
        with pytest.raises(NotConfigured):
            provider.get()
        go_on.set()
        assert again.result(10) is provider.get()
