"""Who makes work wakes workers, after the store has it; a waking that fails fails nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from api_client import Api
from chalice.test import Client
from hand_worker import HandWorker

from bide.autoscaler import Departure
from bide.errors import StoreUnavailable
from bide.settings import Settings
from bide.store import Store
from chalice_app.services import Services


class Recorder:
    """A Wake that keeps what it was asked for, and may fail."""

    farthest_ms = 3_600_000

    def __init__(self, error: Exception | None = None) -> None:
        self.started: list[int] = []
        self.alarms: list[int] = []
        self._error = error

    def start(self, count: int) -> None:
        self.started.append(count)
        if self._error:
            raise self._error

    def alarm(self, delay_ms: int) -> None:
        self.alarms.append(delay_ms)
        if self._error:
            raise self._error

    def look(self) -> None:
        raise AssertionError("nothing is left to go on with")


@pytest.fixture
def recorder() -> Recorder:
    """What the served app wakes with."""
    return Recorder()


@pytest.fixture
def waking(serve: Callable[..., Services], settings: Settings, client: Client, recorder: Recorder) -> Api:
    """The app, which wakes through the recorder."""
    serve(settings, recorder)
    return Api(client)


def test_a_submission_starts_a_worker_where_none_is_awake(waking: Api, recorder: Recorder) -> None:
    assert waking.submit().status == 202
    assert (recorder.started, recorder.alarms) == ([1], [])


def test_a_submission_starts_nobody_where_a_worker_is_awake(
    services: Services, waking: Api, recorder: Recorder, worker: HandWorker
) -> None:
    waking.submit("house.keep")
    worker.lease()
    recorder.started.clear()
    waking.submit()
    assert recorder.started == []


def test_a_delayed_submission_sets_an_alarm(waking: Api, recorder: Recorder) -> None:
    waking.submit(delay=60)
    assert recorder.started == []
    (delay_ms,) = recorder.alarms
    assert 50_000 < delay_ms <= 60_000


def test_an_alarm_that_was_set_serves_later_submissions_too(waking: Api, recorder: Recorder) -> None:
    for delay in (60, 90, 30):
        waking.submit(delay=delay)
    assert len(recorder.alarms) == 2


def test_an_event_for_a_task_that_waits_for_it_starts_a_worker(
    services: Services, settings: Settings, waking: Api, recorder: Recorder, worker: HandWorker
) -> None:
    path = waking.submit().headers["location"]
    worker.park(worker.lease(), awaits="approved")
    assert services.store.retire("default", "hand", 0, 0, Departure.STOPPED, forced=True) is not None
    recorder.started.clear()
    waking.post(f"{path}/events/other", 1)
    assert recorder.started == []
    waking.post(f"{path}/events/approved", 1)
    assert recorder.started == [1]


def test_a_cancel_of_a_parked_task_that_must_clean_up_starts_a_worker(
    services: Services, waking: Api, recorder: Recorder, worker: HandWorker
) -> None:
    path = waking.submit().headers["location"]
    lease = worker.lease()
    worker.ask_for_an_exit(lease)
    worker.park(lease, awaits="approved")
    assert services.store.retire("default", "hand", 0, 0, Departure.STOPPED, forced=True) is not None
    recorder.started.clear()
    assert waking.post(f"{path}/cancel").status == 202
    assert recorder.started == [1]


@pytest.mark.parametrize("fields", [{}, {"delay": 60}])
def test_a_waking_that_fails_does_not_take_the_202_back(
    serve: Callable[..., Services],
    settings: Settings,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    fields: dict[str, int],
) -> None:
    recorder = Recorder(ConnectionResetError("the queue is gone"))
    serve(settings, recorder)
    api = Api(client)
    reply = api.submit(**fields)
    assert reply.status == 202
    assert recorder.started or recorder.alarms
    assert api.get(reply.headers["location"]).status == 200
    assert api.post(f"{reply.headers['location']}/events/approved", 1).status == 202
    assert "queue default" in caplog.text


def test_an_alarm_that_could_not_be_recorded_does_not_either(
    waking: Api, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(Store, "arm", unreachable)
    assert waking.submit(delay=60).status == 202
    assert len(recorder.alarms) == 1


def test_a_repeat_wakes_again_as_the_first_may_have_died_before_it_did(
    waking: Api, recorder: Recorder
) -> None:
    body = b'{"name":"house.keep"}'
    for _ in range(2):
        assert waking.submit_raw(body, idempotency_key="k").status == 202
    assert recorder.started == [1, 1]
