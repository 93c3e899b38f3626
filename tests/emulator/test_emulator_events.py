"""Asynchronous invocations, limits on concurrency, and the end of recursions."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulator_thread import EmulatorThread, until

from local.emulator.errors import RecursionStopped
from local.emulator.event_queue import Chaos
from local.emulator.function import MAX_EVENT_BYTES, MAX_PAYLOAD_BYTES, REGION, Rules
from local.emulator.trace import extend
from local.signing import Scope

Start = Callable[..., EmulatorThread]

QUICK = Rules(retry_s=(0.0,), backoff_s=(0.01, 0.05))

RECORD = """
import os
def handler(event, context):
    with open(os.environ["FILE"], "a") as file:
        file.write(f"{event} {context.aws_request_id}\\n")
    if event == "fail":
        raise RuntimeError("as asked")
"""

HOLD = """
import os, time
def handler(event, context):
    open(os.environ["HERE"], "a").close()
    while not os.path.exists(os.environ["GATE"]):
        time.sleep(0.005)
    return "through"
"""


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[[], list[str]]:
    """What RECORD has seen: the events, each with its request id."""
    file = tmp_path / "recorded"
    return lambda: file.read_text().splitlines() if file.exists() else []


def record(emulator: EmulatorThread, tmp_path: Path, **settings: Any) -> None:
    emulator.deploy("record", RECORD, environment={"FILE": str(tmp_path / "recorded")}, **settings)


class Held:
    """A function whose invocations wait for `open`."""

    def __init__(self, emulator: EmulatorThread, tmp_path: Path, **settings: Any) -> None:
        self.emulator = emulator
        self._gate, self._here = tmp_path / "gate", tmp_path / "here"
        environment = {"GATE": str(self._gate), "HERE": str(self._here)}
        emulator.deploy("held", HOLD, environment=environment, timeout_s=60.0, **settings)
        self.answers: list[Any] = []
        self._thread = threading.Thread(target=lambda: self.answers.append(emulator.invoke("held")))

    def occupy(self) -> None:
        """Have one invocation run until `open`."""
        self._thread.start()
        until(self._here.exists)

    def open(self) -> None:
        self._gate.touch()
        self._thread.join()


def send(emulator: EmulatorThread, name: str, event: bytes, **arguments: Any) -> None:
    answered = emulator.client.invoke(FunctionName=name, InvocationType="Event", Payload=event, **arguments)
    assert answered["StatusCode"] == 202


def code_of(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"])


# --- limits -----------------------------------------------------------------------------------


def test_a_function_is_throttled_at_its_reserved_concurrency(
    emulator: EmulatorThread, tmp_path: Path
) -> None:
    held = Held(emulator, tmp_path, reserved_concurrency=1)
    held.occupy()
    with pytest.raises(ClientError) as refused:
        emulator.invoke("held")
    held.open()
    response = refused.value.response
    assert code_of(refused) == "TooManyRequestsException"
    assert response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
    assert emulator.invoke("held")["Payload"] == b'"through"'
    figures = emulator.figures("held")
    assert (figures.throttles, figures.most_busy, figures.invocations) == (1, 1, 2)


def test_functions_without_a_reservation_share_what_the_account_has_left(
    start: Start, tmp_path: Path
) -> None:
    emulator = start(Rules(account_concurrency=3))
    emulator.deploy("reserved", "def handler(event, context):\n    return 1\n", reserved_concurrency=2)
    emulator.deploy("other", "def handler(event, context):\n    return 1\n")
    held = Held(emulator, tmp_path)
    held.occupy()
    with pytest.raises(ClientError) as refused:
        emulator.invoke("other")
    assert refused.value.response["Reason"] == "ConcurrentInvocationLimitExceeded"
    assert emulator.invoke("reserved")["Payload"] == b"1"
    held.open()
    assert emulator.invoke("other")["Payload"] == b"1"


def test_reserved_concurrency_can_be_set_and_lifted(emulator: EmulatorThread) -> None:
    emulator.deploy("echo", "def handler(event, context):\n    return event\n")
    emulator.client.put_function_concurrency(FunctionName="echo", ReservedConcurrentExecutions=0)
    assert emulator.client.get_function_concurrency(FunctionName="echo")["ReservedConcurrentExecutions"] == 0
    with pytest.raises(ClientError) as refused:
        emulator.invoke("echo")
    assert code_of(refused) == "TooManyRequestsException"
    emulator.client.delete_function_concurrency(FunctionName="echo")
    assert emulator.invoke("echo")["Payload"] == b"{}"


def test_concurrent_invocations_run_in_environments_of_their_own(
    emulator: EmulatorThread, tmp_path: Path
) -> None:
    held = Held(emulator, tmp_path)
    held.occupy()
    others = [threading.Thread(target=emulator.invoke, args=("held",)) for _ in range(3)]
    for other in others:
        other.start()
    until(lambda: emulator.figures("held").busy == 4)
    held.open()
    for other in others:
        other.join()
    figures = emulator.figures("held")
    assert (figures.most_busy, figures.environments, figures.cold_starts, figures.busy) == (4, 4, 4, 0)


@pytest.mark.parametrize(
    ("kind", "limit"), [("RequestResponse", MAX_PAYLOAD_BYTES), ("Event", MAX_EVENT_BYTES)]
)
def test_an_event_over_the_limit_is_refused(emulator: EmulatorThread, kind: str, limit: int) -> None:
    emulator.deploy("length", "def handler(event, context):\n    return len(event)\n")
    emulator.invoke("length", b'"' + b"x" * (limit - 2) + b'"', InvocationType=kind)
    with pytest.raises(ClientError) as refused:
        emulator.invoke("length", b'"' + b"x" * (limit - 1) + b'"', InvocationType=kind)
    assert code_of(refused) == "RequestTooLargeException"


def test_an_event_that_is_no_json_is_refused(emulator: EmulatorThread) -> None:
    emulator.deploy("echo", "def handler(event, context):\n    return event\n")
    with pytest.raises(ClientError) as refused:
        emulator.invoke("echo", b"{")
    assert code_of(refused) == "InvalidRequestContentException"


def test_a_dry_run_runs_nothing(emulator: EmulatorThread, tmp_path: Path, recorded: Any) -> None:
    record(emulator, tmp_path)
    assert emulator.invoke("record", InvocationType="DryRun")["StatusCode"] == 204
    assert recorded() == []
    assert emulator.figures("record").invocations == 0


# --- events -----------------------------------------------------------------------------------


def test_an_accepted_event_runs_later(emulator: EmulatorThread, tmp_path: Path, recorded: Any) -> None:
    record(emulator, tmp_path)
    send(emulator, "record", b'"hello"')
    figures = emulator.drained("record")
    assert [line.split()[0] for line in recorded()] == ["hello"]
    assert (figures.events, figures.invocations, figures.events_dropped) == (1, 1, 0)


def test_a_failed_event_is_tried_twice_more_under_its_id(start: Start, tmp_path: Path, recorded: Any) -> None:
    emulator = start(QUICK)
    record(emulator, tmp_path)
    send(emulator, "record", b'"fail"')
    figures = emulator.drained("record")
    assert len(recorded()) == 3
    assert len(set(recorded())) == 1
    assert (figures.invocations, figures.errors, figures.events_retried, figures.events_dropped) == (
        3,
        3,
        2,
        1,
    )


def test_the_number_of_retries_can_be_set(start: Start, tmp_path: Path, recorded: Any) -> None:
    emulator = start(QUICK)
    record(emulator, tmp_path)
    settings = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
    emulator.client.put_function_event_invoke_config(FunctionName="record", **settings)
    read = emulator.client.get_function_event_invoke_config(FunctionName="record")
    assert {name: read[name] for name in settings} == settings
    send(emulator, "record", b'"fail"')
    assert emulator.drained("record").events_dropped == 1
    assert len(recorded()) == 1


def test_a_throttled_event_waits_for_room(start: Start, tmp_path: Path) -> None:
    emulator = start(QUICK)
    held = Held(emulator, tmp_path, reserved_concurrency=1)
    held.occupy()
    send(emulator, "held", b"{}")
    until(lambda: emulator.figures("held").throttles >= 3)
    held.open()
    figures = emulator.drained("held")
    assert (figures.invocations, figures.events_dropped, figures.events_retried) == (2, 0, 0)


def test_an_event_that_has_grown_too_old_is_dropped(start: Start, tmp_path: Path) -> None:
    emulator = start(QUICK)
    record(emulator, tmp_path, reserved_concurrency=0)
    emulator.client.put_function_event_invoke_config(FunctionName="record", MaximumEventAgeInSeconds=60)
    rules = emulator.emulator.deployed("record").events.rules
    assert rules.max_age_s == 60
    emulator.emulator.deployed("record").events.rules = type(rules)(max_age_s=0.1)
    send(emulator, "record", b"1")
    figures = emulator.drained("record")
    assert (figures.invocations, figures.events_dropped) == (0, 1)
    assert figures.throttles > 1


def test_events_can_be_doubled_lost_and_late_on_demand(
    emulator: EmulatorThread, tmp_path: Path, recorded: Any
) -> None:
    record(emulator, tmp_path)
    events = emulator.emulator.deployed("record").events
    events.chaos = Chaos(duplicate_every=2, drop_every=3, delay_s=0.01)
    for number in range(1, 7):
        send(emulator, "record", str(number).encode())
    figures = emulator.drained("record")
    assert sorted(line.split()[0] for line in recorded()) == ["1", "2", "2", "4", "4", "5"]
    assert (figures.events, figures.events_lost, figures.events_doubled) == (6, 2, 2)


# --- recursion --------------------------------------------------------------------------------

AGAIN = """
import boto3, os
client = boto3.client("lambda")
def handler(event, context):
    if event["left"]:
        again = b'{"left": %d}' % (event["left"] - 1)
        client.invoke(FunctionName=context.function_name, InvocationType="Event", Payload=again)
"""


def test_a_function_that_invokes_itself_is_stopped_after_sixteen_times(emulator: EmulatorThread) -> None:
    emulator.deploy("again", AGAIN, timeout_s=60.0)
    send(emulator, "again", b'{"left": 100}')
    until(lambda: emulator.figures("again").recursions_stopped == 1)
    figures = emulator.drained("again")
    assert (figures.invocations, figures.events_dropped) == (16, 1)


def test_a_function_may_be_allowed_to_invoke_itself(emulator: EmulatorThread) -> None:
    emulator.deploy("again", AGAIN, timeout_s=60.0)
    client = emulator.client
    assert client.get_function_recursion_config(FunctionName="again")["RecursiveLoop"] == "Terminate"
    client.put_function_recursion_config(FunctionName="again", RecursiveLoop="Allow")
    assert client.get_function_recursion_config(FunctionName="again")["RecursiveLoop"] == "Allow"
    send(emulator, "again", b'{"left": 19}')
    until(lambda: emulator.figures("again").invocations == 20)
    assert emulator.drained("again").recursions_stopped == 0


def test_a_synchronous_recursion_is_an_error_of_its_caller(emulator: EmulatorThread) -> None:
    emulator.deploy("echo", "def handler(event, context):\n    return event\n")
    function = emulator.emulator.deployed("echo").function
    trace: str | None = None
    for _ in range(16):
        trace, _count = extend(trace, function.arn)
    with pytest.raises(RecursionStopped, match="was invoked in a loop"):
        emulator.call(emulator.emulator.dispatcher.invoke("echo", b"{}", trace))


# --- figures ----------------------------------------------------------------------------------


def test_the_figures_are_read_over_http(emulator: EmulatorThread) -> None:
    emulator.deploy("echo", "def handler(event, context):\n    return event\n")
    emulator.invoke("echo")
    url = f"{emulator.emulator.url}/_emulator/figures"
    headers = dict(emulator.emulator.key.signed(Scope("lambda", REGION), "GET", url))
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
        figures = json.load(answer)
    assert figures["echo"]["invocations"] == 1
    assert figures["echo"]["billed_ms"] > 0
    assert figures["echo"]["memory_mb"] == 128
