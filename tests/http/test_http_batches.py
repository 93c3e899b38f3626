"""POST /v1/batches, and the fields of a submission that order and mark it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from api_client import Api
from chalice.test import Client
from hand_worker import HandWorker

from bide.settings import Settings
from chalice_app.limits import MAX_BODY_BYTES, MAX_DEPTH, MAX_EXPLAINED, MAX_EXPLAINED_BYTES
from chalice_app.services import Services


def _batch(api: Api, *items: Any) -> list[dict[str, Any]]:
    reply = api.post("/v1/batches", {"items": list(items)})
    assert reply.status == 202
    answered: list[dict[str, Any]] = reply.json["items"]
    return answered


def _add(**fields: Any) -> dict[str, Any]:
    return {"name": "add", "args": {"a": 1}, **fields}


def test_each_item_has_a_task_or_a_problem_of_its_own(api: Api) -> None:
    good, unknown, wrong, no_object, elsewhere = _batch(
        api, _add(), {"name": "nosuch"}, _add(args={"a": "x"}), 7, _add(queue="orders", tags=["a"])
    )
    assert api.get(f"/v1/tasks/{good['task']['id']}").json == good["task"]
    assert elsewhere["task"]["queue"] == "orders"
    assert unknown["problem"]["code"] == "UNKNOWN_TASK"
    assert (wrong["problem"]["code"], wrong["problem"]["status"]) == ("INVALID_ARGUMENTS", 422)
    assert wrong["problem"]["errors"][0]["pointer"] == "/args/a"
    assert no_object["problem"]["code"] == "INVALID_REQUEST"


def test_a_hundred_tasks_of_two_queues_take_one_round_trip(
    api: Api, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    for queue in ("default", "orders"):
        api.submit(queue=queue)
    asked: list[int] = []
    ask = services.store.client._ask

    def counted(commands: Any) -> Any:
        asked.append(len(commands))
        return ask(commands)

    monkeypatch.setattr(services.store.client, "_ask", counted)
    items = [_add(queue=("default", "orders")[number % 2]) for number in range(100)]
    assert all("task" in item for item in _batch(api, *items))
    assert asked == [100]


def test_keys_make_items_safe_to_repeat_and_unique_values_hold_others_off(api: Api) -> None:
    first, again, other, unique, held = _batch(
        api,
        _add(idempotency_key="k"),
        _add(idempotency_key="k"),
        _add(idempotency_key="k", priority=3),
        _add(unique="u"),
        _add(unique="u"),
    )
    assert first["task"]["id"] == again["task"]["id"]
    assert other["problem"]["code"] == "IDEMPOTENCY_CONFLICT"
    assert held["problem"]["task"] == unique["task"]["id"]


@pytest.mark.parametrize("items", [[], [_add()] * 101, None, {}, "x"])
def test_too_few_and_too_many_are_refused(api: Api, items: Any) -> None:
    reply = api.post("/v1/batches", {"items": items})
    assert (reply.status, reply.pointers) == (422, ["/items"])


def test_a_number_out_of_range_is_its_items_own_fault(api: Api) -> None:
    good = b'{"name":"add","args":{"a":1}}'
    reply = api.request(
        "POST", "/v1/batches", b'{"items":[%s,{"name":"echo","args":{"value":[1e400]}},%s]}' % (good, good)
    )
    first, wrong, last = reply.json["items"]
    assert "task" in first
    assert "task" in last
    assert wrong["problem"]["code"] == "INVALID_ARGUMENTS"
    assert wrong["problem"]["errors"][0]["pointer"] == "/args/value/0"


def test_an_item_is_no_larger_than_a_body(api: Api) -> None:
    large, good = _batch(api, {"name": "echo", "args": {"value": "x" * MAX_BODY_BYTES}}, _add())
    assert (large["problem"]["status"], large["problem"]["code"]) == (413, "TOO_LARGE")
    assert "task" in good


def test_an_item_is_no_larger_as_it_is_stored(api: Api) -> None:
    item, good = (
        b'{"name":"echo","args":{"value":[%s1]}}' % (b"1e15," * 14_000),
        b'{"name":"add","args":{"a":1}}',
    )
    reply = api.request("POST", "/v1/batches", b'{"items":[%s,%s]}' % (item, good))
    large, accepted = reply.json["items"]
    assert (large["problem"]["status"], large["problem"]["code"]) == (413, "TOO_LARGE")
    assert f" {len(item)} " in large["problem"]["detail"]
    assert "task" in accepted


def test_a_batch_is_no_larger_as_it_is_stored(api: Api) -> None:
    """Each of its items would do."""
    item = b'{"name":"echo","args":{"value":[%s1]}}' % (b"1e15," * 13_000)
    reply = api.request("POST", "/v1/batches", b'{"items":[%s]}' % b",".join([item] * 5))
    assert (reply.status, reply.code) == (413, "TOO_LARGE")
    assert not api.get("/v1/tasks").json["tasks"]


def test_an_item_has_as_many_levels_as_a_body_may_have(api: Api) -> None:
    def nested(levels: int) -> bytes:
        return b'{"items":[{"name":"echo","args":{"value":%s}}]}' % (
            b"[" * (levels - 2) + b"]" * (levels - 2)
        )

    (item,) = api.request("POST", "/v1/batches", nested(MAX_DEPTH)).json["items"]
    assert "task" in item
    deeper = api.request("POST", "/v1/batches", nested(MAX_DEPTH + 1))
    assert (deeper.status, deeper.code) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("value", [b"NaN", b'"\xff"', b'"\\ud800"', b"[", b"[" * 100_000 + b"]" * 100_000])
def test_a_batch_that_is_no_json_is_refused_as_a_whole(api: Api, value: bytes) -> None:
    body = b'{"items":[{"name":"echo","args":{"value":1}},{"name":"echo","args":{"value":%s}}]}' % value
    reply = api.request("POST", "/v1/batches", body)
    assert (reply.status, reply.code in ("MALFORMED_JSON", "INVALID_REQUEST")) == (400, True)
    assert api.get("/v1/tasks").json["tasks"] == []


def test_an_items_key_is_told_in_words_what_it_may_be(api: Api) -> None:
    (item,) = _batch(api, _add(idempotency_key="two words"))
    (wrong,) = item["problem"]["errors"]
    assert wrong == {"pointer": "/idempotency_key", "detail": "Expected 1 to 255 visible ASCII characters."}


def test_a_field_that_no_batch_has_is_pointed_at(api: Api) -> None:
    reply = api.post("/v1/batches", {"items": [_add()], "queue": "vms"})
    assert (reply.status, reply.pointers) == (422, ["/queue"])


def test_a_batch_does_not_pass_over_a_key_that_it_would_not_keep(api: Api) -> None:
    reply = api.post("/v1/batches", {"items": [_add()]}, idempotency_key="k")
    assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
    assert "idempotency_key" in reply.json["detail"]


def test_a_closed_server_refuses_each(api: Api) -> None:
    api.submit()
    api.post("/v1/server/close", {"reason": "moving"})
    assert [item["problem"]["code"] for item in _batch(api, _add(), _add())] == ["CLOSED", "CLOSED"]


def test_what_is_refused_for_a_while_says_for_how_long(
    serve: Callable[..., Services], settings: Settings, client: Client
) -> None:
    serve(dataclasses.replace(settings, rate_limit=1))
    api = Api(client)
    accepted, limited, unknown = _batch(api, _add(), _add(), {"name": "nosuch"})
    assert (accepted["task"]["state"], accepted["retry_after"]) == ("ready", 0)
    assert (limited["problem"]["code"], limited["retry_after"]) == ("RATE_LIMITED", 1)
    assert unknown.keys() == {"problem"}
    api.post("/v1/server/close", {"reason": "moving", "retry_after": 120})
    (closed,) = _batch(api, _add())
    assert (closed["problem"]["code"], closed["retry_after"]) == ("CLOSED", 120)


def test_a_task_of_a_batch_says_when_to_ask_as_one_submitted_alone(api: Api, worker: HandWorker) -> None:
    delayed, first = _batch(api, _add(delay=60), _add(idempotency_key="k"))
    assert delayed["retry_after"] == int(api.submit("add", {"a": 1}, delay=60).headers["retry-after"]) == 60
    assert first["retry_after"] == 0
    worker.succeed(worker.lease(), 1)
    (again,) = _batch(api, _add(idempotency_key="k"))
    assert (again["task"]["state"], "retry_after" in again) == ("succeeded", False)


def test_a_batch_sent_again_takes_one_round_trip_more(
    api: Api, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [_add(idempotency_key=f"k{n}", queue=("default", "orders")[n % 2]) for n in range(20)]
    first, again = _batch(api, *items), _batch(api, *items)
    asked: list[int] = []
    ask = services.store.client._ask
    monkeypatch.setattr(
        services.store.client, "_ask", lambda commands: asked.append(len(commands)) or ask(commands)
    )
    assert [item["task"]["id"] for item in _batch(api, *items)] == [item["task"]["id"] for item in first]
    assert again == first
    assert asked == [20, 20]


def test_a_task_erased_meanwhile_is_its_items_own_problem(
    api: Api, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    _batch(api, _add(idempotency_key="k"))
    monkeypatch.setattr(services.reads.__class__, "tasks", lambda *_: {})
    gone, good = _batch(api, _add(idempotency_key="k"), _add())
    assert gone["problem"]["code"] == "TASK_NOT_FOUND"
    assert "task" in good


def test_higher_priorities_are_leased_first_and_equals_in_their_order(api: Api, worker: HandWorker) -> None:
    priorities = [0, 9, 3, 9, 0, 5]
    ids = [api.submit(priority=priority).json["id"] for priority in priorities]
    leased = [str(lease.id) for lease in worker.lease_all()]
    assert leased == [ids[number] for number in (1, 3, 5, 2, 0, 4)]


def test_a_unique_value_is_free_again_when_its_task_has_finished(api: Api, worker: HandWorker) -> None:
    first = api.submit(unique="nightly")
    held = api.submit(unique="nightly")
    assert (held.status, held.code) == (409, "NOT_UNIQUE")
    assert held.json["task"] == first.json["id"]
    assert first.json["id"] in held.json["detail"]
    assert api.submit(unique="nightly", queue="orders").status == 202, "a queue has values of its own"
    lease = worker.lease()
    assert api.submit(unique="nightly").code == "NOT_UNIQUE"
    worker.succeed(lease)
    assert api.submit(unique="nightly").status == 202


def test_what_marks_a_task_is_shown_with_it(api: Api) -> None:
    sent = {"priority": 7, "tags": ["b", "a", "b"], "unique": "one", "expires": 3600}
    task = api.get(api.submit(**sent).headers["location"]).json
    assert (task["priority"], task["tags"], task["unique"]) == (7, ["b", "a"], "one")
    assert task["expires_at"] > task["submitted_at"]
    assert "unique" in task


# --- items that are wrong -----------------------------------------------------------------------

WRONG: dict[str, Any] = {
    "no object": 7,
    "an array": [1],
    "a field of another type": {"name": 1},
    "no name": {"args": {}},
    "an unknown field": _add(surprise=1),
    "an unknown field with an odd name": _add(**{"a~b/c": 1}),
    "a field of a later version": _add(callback_url="https://example.com"),
    "an empty unique value": _add(unique=""),
    "a bad tag": _add(tags=["ok", "NOT OK"]),
    "a bad key": _add(idempotency_key="two words"),
    "too great a delay": _add(delay=10**10),
    "no time": _add(run_at="soon"),
    "a time without an offset": _add(run_at="2026-01-01T00:00:00"),
    "arguments that are no object": _add(args=[1]),
    "an argument of another type": _add(args={"a": "x"}),
    "an unknown argument": _add(args={"a": 1, "z": 1}),
    "an unknown queue": _add(queue="nowhere"),
    "an unknown task like none": {"name": "zzzzzzzz"},
    "a name that is too long": {"name": "x" * 129},
}


@pytest.mark.parametrize("item", WRONG.values(), ids=list(WRONG))
def test_an_item_that_is_not_explained_is_told_the_same_of_its_one_fault(api: Api, item: Any) -> None:
    answered = _batch(api, *[item] * (MAX_EXPLAINED + 2))
    assert answered[-1] == answered[0]
    assert answered[0]["problem"]["status"] == 422


def test_of_many_wrong_items_the_first_are_explained_and_the_rest_told_their_first_fault(api: Api) -> None:
    answered = _batch(api, _add(), *[{"name": "ecjo", "args": {}, "delay": "x", "priority": 77}] * 99)
    assert "task" in answered[0]
    told = [item["problem"] for item in answered[1:]]
    assert {(problem["code"], problem["status"]) for problem in told} == {("INVALID_REQUEST", 422)}
    pointers = [[error["pointer"] for error in problem["errors"]] for problem in told]
    assert pointers[:MAX_EXPLAINED] == [["/delay", "/priority"]] * MAX_EXPLAINED
    assert pointers[MAX_EXPLAINED:] == [["/delay"]] * (99 - MAX_EXPLAINED)


def test_the_nearest_name_is_looked_for_a_few_times(api: Api) -> None:
    details = [item["problem"]["detail"] for item in _batch(api, *[{"name": "ecjo"}] * 100)]
    assert [("Did you mean" in detail) for detail in details] == [True] * MAX_EXPLAINED + [False] * 90
    assert all(detail.startswith("No task named 'ecjo' is registered.") for detail in details)


def test_wrong_items_of_many_bytes_are_not_read_again(api: Api) -> None:
    half = MAX_EXPLAINED_BYTES // 2
    large = {"name": "add", "args": {"a": "x" * half}, "delay": "x", "priority": 77}
    counts = [len(item["problem"]["errors"]) for item in _batch(api, large, large, large)]
    assert counts == [2, 1, 1]
    huge = {**large, "args": {"a": "x" * MAX_EXPLAINED_BYTES}}
    assert api.post("/v1/tasks", huge).pointers == ["/delay"]
    assert api.post("/v1/tasks", {**huge, "args": {}}).pointers == ["/delay", "/priority"]


def test_a_number_out_of_range_is_found_in_a_few_items(api: Api) -> None:
    item = b'{"name":"echo","args":{"value":[1,1e400]}}'
    body = b'{"items":[%s]}' % b",".join([item] * 12)
    told = [each["problem"] for each in api.request("POST", "/v1/batches", body).json["items"]]
    assert {problem["code"] for problem in told} == {"INVALID_ARGUMENTS"}
    assert [problem["errors"][0]["pointer"] for problem in told] == ["/args/value/1"] * 10 + ["/args"] * 2
    assert len({problem["detail"] for problem in told}) == 1
    elsewhere = b'{"items":[%s]}' % b",".join([b'{"name":"echo","zz":[1e400]}'] * 12)
    told = [each["problem"] for each in api.request("POST", "/v1/batches", elsewhere).json["items"]]
    assert {problem["code"] for problem in told} == {"INVALID_REQUEST"}


def test_what_a_field_is_called_is_told_within_bounds(api: Api) -> None:
    for item in ({"name": "add", "x" * 100_000: 1}, {"name": "add", "args": {"a": 1, "x" * 100_000: 1}}):
        assert len(api.post("/v1/tasks", item).body) < 1_000


@pytest.mark.parametrize("levels", [MAX_DEPTH - 2, MAX_DEPTH - 1])
def test_any_number_of_brackets_is_taken_that_are_not_nested_too_deeply(api: Api, levels: int) -> None:
    nest = b"[" * (levels - 1) + b"]" * (levels - 1)
    body = b'{"name":"echo","args":{"value":["]]]\\"]]",%s]}}' % b",".join([nest, b"{}", b"[]"] * 500)
    assert api.submit_raw(body).status == (202 if levels == MAX_DEPTH - 2 else 400)
