"""How a task that waits is shown: its state, its progress, what it waited and what that cost."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from api_client import Api
from hand_worker import HandWorker

from bide.exchange import Usage
from bide.ids import parse_id
from bide.submission import Submission
from chalice_app.services import Services


def _path(api: Api) -> str:
    location: str = api.submit().headers["location"]
    return location


def _submit_expiring(services: Services) -> str:
    """A task that expires a millisecond after its submission."""
    submission = Submission("echo", '{"value":1}', "default", "default", 1, 60_000, expires_ms=1)
    return f"/v1/tasks/{services.store.submit(submission).id}"


def _show_when(api: Api, path: str, is_so: Any) -> dict[str, Any]:
    """The task as soon as that is so."""
    give_up = time.monotonic() + 60
    while not is_so(task := api.get(path).json):
        assert time.monotonic() < give_up, task
        time.sleep(0.01)
    shown: dict[str, Any] = task
    return shown


def test_a_parked_task_is_waiting_and_says_until_when(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    worker.park(worker.lease(), delay_ms=20_000)
    reply = api.get(path)
    task = reply.json
    assert (task["state"], task["done"], task["attempt"]) == ("waiting", False, 1)
    until = datetime.fromisoformat(task["run_at"]) - datetime.fromisoformat(task["started_at"])
    assert timedelta(seconds=20) <= until < timedelta(seconds=40)
    assert 1 <= int(reply.headers["retry-after"]) <= 20


def test_a_task_that_waits_for_long_may_be_asked_for_before(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    worker.park(worker.lease(), delay_ms=3_600_000)
    assert api.get(path).headers["retry-after"] == "30"


def test_a_task_that_awaits_an_event_is_asked_for_before_it_would_give_up(
    api: Api, worker: HandWorker
) -> None:
    path = _path(api)
    worker.park(worker.lease(), delay_ms=3_600_000, awaits="approved")
    assert int(api.get(path).headers["retry-after"]) <= 2


def test_a_task_that_waits_for_an_event_alone_has_no_time(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    worker.park(worker.lease(), awaits="approved")
    reply = api.get(path)
    assert (reply.json["state"], reply.json["run_at"]) == ("waiting", None)
    assert int(reply.headers["retry-after"]) <= 30


def test_a_parked_task_waits_on_under_the_same_etag(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    worker.park(worker.lease(), delay_ms=600_000, usage=Usage(waited_ms=5_000))
    first = api.get(path)
    before = first.json["waited_ms"]
    assert before >= 5_000
    later = _show_when(api, path, lambda task: task["waited_ms"] > before)
    assert {**later, "waited_ms": 0} == {**first.json, "waited_ms": 0}
    assert api.get(path, if_none_match=first.headers["etag"]).status == 304


def test_time_stands_still_for_a_task_that_goes_on(api: Api, worker: HandWorker, services: Services) -> None:
    path = _path(api)
    worker.park(worker.lease(), awaits="approved")
    _show_when(api, path, lambda task: task["waited_ms"] >= 20)
    api.post(f"{path}/events/approved", 1)
    waited = api.get(path).json["waited_ms"]
    assert waited >= 20
    worker.lease()
    later = services.store.now_ms() + 20
    running = _show_when(api, path, lambda _: services.store.now_ms() > later)
    assert (running["state"], running["waited_ms"]) == ("running", waited)


def test_a_finished_task_shows_what_it_cost(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    usage = Usage(billed_us=1_234_567, waited_ms=60_000, replays=2, polls=12)
    worker.succeed(worker.lease(), usage=usage)
    task = api.get(path).json
    assert (task["billed_ms"], task["waited_ms"]) == (1234.567, 60_000)
    assert task["cost_usd"] == 1.0288079e-05
    assert (task["replays"], task["polls"]) == (2, 12)


def test_progress_is_shown_and_changes_the_etag(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    lease = worker.lease()
    tags = [api.get(path).headers["etag"]]
    for fraction, message in ((0.5, "half"), (0.5, "more than half"), (0.9, "more than half")):
        worker.progress(lease, fraction=fraction, message=message)
        reply = api.get(path)
        assert reply.json["progress"] == {"fraction": fraction, "message": message}
        tags.append(reply.headers["etag"])
    assert len(set(tags)) == 4
    assert api.get(path, if_none_match=tags[-1]).status == 304


def test_each_park_and_resume_has_an_etag_of_its_own(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    tags = []
    for _ in range(3):
        lease = worker.lease()
        tags.append(api.get(path).headers["etag"])
        worker.park(lease, awaits="approved")
        tags.append(api.get(path).headers["etag"])
        api.post(f"{path}/events/approved", 1)
        tags.append(api.get(path).headers["etag"])
        lease = worker.lease()
        worker.read(lease, lease.events[0])
        worker.hand_back(lease)
    assert len(set(tags)) == len(tags) == 9


def test_a_parked_task_is_cancelled_at_once(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    worker.park(worker.lease(), delay_ms=600_000)
    reply = api.post(f"{path}/cancel")
    assert (reply.status, reply.json["state"], reply.json["run_at"]) == (200, "cancelled", None)


def test_a_parked_task_with_something_to_do_at_its_end_goes_on_to_do_it(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    lease = worker.lease()
    worker.ask_for_an_exit(lease)
    worker.park(lease, delay_ms=600_000)
    reply = api.post(f"{path}/cancel")
    assert (reply.status, reply.json["state"], reply.headers["retry-after"]) == (202, "ready", "0")
    worker.cancel(worker.lease())
    assert api.get(path).json["state"] == "cancelled"


def test_a_task_that_nobody_started_in_time_has_expired(
    api: Api, worker: HandWorker, services: Services
) -> None:
    path = _submit_expiring(services)
    _show_when(api, path, lambda task: services.store.tick("default", 0) and task["state"] == "expired")
    reply = api.get(path)
    task = reply.json
    assert (task["done"], task["result"], task["error"], task["started_at"]) == (True, None, None, None)
    assert task["finished_at"] >= task["submitted_at"]
    assert "retry-after" not in reply.headers
    assert api.post(f"{path}/cancel").code == "TASK_FINISHED"


def test_a_task_has_the_times_that_its_definition_gives_it(api: Api, services: Services) -> None:
    hurried, common = (parse_id(api.submit(name).json["id"]) for name in ("hurry", "house.keep"))
    assert hurried
    assert common
    run = services.reads.task(hurried, "default").run
    assert run.expires_ms == hurried.submitted_ms + 600_000
    assert run.deadline_ms == hurried.submitted_ms + 7_200_000
    run = services.reads.task(common, "default").run
    assert (run.expires_ms, run.deadline_ms) == (0, 0)


def test_a_request_is_held_for_a_parked_task_as_its_wait_may_end_sooner(api: Api, worker: HandWorker) -> None:
    path = _path(api)
    worker.park(worker.lease(), delay_ms=600_000, awaits="approved")
    reply = api.get(path, prefer="wait=1")
    assert (reply.json["state"], reply.headers["preference-applied"]) == ("waiting", "wait=1")
