"""What the process is given: settings, tasks, and what happens when they are wrong."""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api_client import Api
from chalice.test import Client

from bide.errors import RegistryError, SettingsError
from bide.settings import Settings
from chalice_app.errors import NotConfigured
from chalice_app.services import PROVIDER, Provider, Services, build


@pytest.fixture
def broken_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with one module that works and one that does not."""
    package = tmp_path / "half_broken"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "fine.py").write_text("from bide import task\n\n@task\ndef fine() -> None: ...\n")
    (package / "broken.py").write_text("import bide\nimport no_such_module_at_all\n")
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
    from_environment: Callable[..., None], client: Client, path: str
) -> None:
    from_environment(BIDE_REDIS_URL="localhost", BIDE_WAIT_SLOTS="many")
    reply = Api(client).get(path)
    assert (reply.status, reply.code) == (503, "NOT_CONFIGURED")
    assert "BIDE_REDIS_URL" in reply.json["detail"]
    assert "BIDE_WAIT_SLOTS" in reply.json["detail"]


def test_a_missing_store_is_named(from_environment: Callable[..., None], client: Client) -> None:
    from_environment(BIDE_REDIS_URL="")
    reply = Api(client).get("/v1/server")
    assert (reply.status, reply.code) == (503, "NOT_CONFIGURED")
    assert "BIDE_REDIS_URL is not set" in reply.json["detail"]


def test_a_store_url_that_cannot_be_read_is_named_without_its_password() -> None:
    with pytest.raises(SettingsError) as caught:
        build(Settings(redis_url="redis://:hunter2@localhost:port/0"))
    assert "BIDE_REDIS_URL" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_a_broken_task_module_stops_a_deployed_server_with_its_place(
    from_environment: Callable[..., None], client: Client, settings: Settings, broken_tasks: str
) -> None:
    from_environment(BIDE_REDIS_URL=settings.redis_url, BIDE_TASKS=broken_tasks)
    reply = Api(client).get("/healthz")
    assert (reply.status, reply.code) == (503, "NOT_CONFIGURED")
    assert "broken.py:2" in reply.json["detail"]


def test_in_local_mode_the_other_tasks_go_on(
    serve: Callable[[Settings], Services], settings: Settings, client: Client, broken_tasks: str
) -> None:
    serve(dataclasses.replace(settings, tasks=(broken_tasks,)))
    api = Api(client)
    assert api.submit("fine").status == 202
    health = api.get("/healthz")
    assert health.status == 200
    assert "broken.py:2" in health.json["tasks"]["problems"][0]


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


@pytest.mark.parametrize("error", [SettingsError(["x"]), RegistryError("y")])
def test_a_failed_build_is_tried_again_at_the_next_request(settings: Settings, error: Exception) -> None:
    outcomes: list[Exception | None] = [error, None]

    def flaky(_make_wake: object) -> Services:
        outcome = outcomes.pop(0)
        if outcome:
            raise outcome
        return build(settings)

    provider = Provider(flaky)
    with pytest.raises(NotConfigured):
        provider.get()
    assert provider.get().settings is settings
