"""The app on a real store, with keys of its own for each test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from api_client import Api
from chalice.test import Client
from hand_worker import HandWorker
from prefixes import new_prefix

from app import app
from bide.settings import Settings
from bide.wake import NoWake, Wake
from chalice_app.services import PROVIDER, Services, build
from local import ports
from local.asgi import Application
from local.blocking import Blocking
from local.gateway import Gateway


@pytest.fixture
def settings(store_url: str) -> Settings:
    """Local mode, and a prefix that no other test has."""
    return Settings(
        redis_url=store_url,
        prefix=new_prefix(),
        tasks=("http_tasks",),
        queues=("vms",),
        local=True,
    )


@pytest.fixture
def serve() -> Iterator[Callable[..., Services]]:
    """Serve with these settings from now on, waking workers so; the last call of a test counts."""

    def use(settings: Settings, wake: Wake | None = None) -> Services:
        services = build(settings, wake or NoWake())
        PROVIDER.use(services)
        return services

    yield use
    PROVIDER.use(None)


@pytest.fixture
def services(serve: Callable[[Settings], Services], settings: Settings) -> Services:
    """What the views are given."""
    return serve(settings)


@pytest.fixture(scope="session")
def client() -> Any:
    """Chalice's own test client; the stage is one without an environment."""
    return Client(app, stage_name="local", project_dir=str(Path(__file__).parents[2]))


@pytest.fixture
def api(services: Services, client: Client) -> Api:
    """The app in local mode, as a client on this machine sees it."""
    return Api(client)


@pytest.fixture
def port(services: Services) -> Iterator[int]:
    """The app behind the local gateway and its HTTP server, on a real socket."""
    listener = ports.listen(ports.free_port())
    config = uvicorn.Config(
        Application(Blocking(Gateway(app), threads=16).answer),
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="error",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def worker(services: Services, settings: Settings) -> HandWorker:
    """A worker of the default queue."""
    return HandWorker(services.store, settings.redis_url)
