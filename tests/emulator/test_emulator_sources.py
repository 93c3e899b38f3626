"""Schedules, queues and streams of a real server of AWS's API, and an account as it tells it."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulator_thread import EmulatorThread, client_of, until

from local import ports
from local.aws.running import RunningAws, running_aws
from local.emulator.discovery import Account, CodeMissing, discover
from local.emulator.function import ACCOUNT, REGION, AsyncRules, Function, Rules
from local.emulator.queues import QueueMapping, QueueSource
from local.emulator.schedules import Schedule, ScheduleSource, UnknownExpression, period_s
from local.emulator.streams import StreamMapping, StreamSource

Start = Callable[..., EmulatorThread]

COLLECT = """
import json, os
def handler(event, context):
    with open(os.environ["FILE"], "a") as file:
        file.write(json.dumps(event) + "\\n")
    if os.path.exists(os.environ["FAIL"]):
        os.remove(os.environ["FAIL"])
        raise RuntimeError("as asked")
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[RunningAws]:
    """An AWS of this module's own, as it is made to forget what it holds."""
    with running_aws() as running:
        yield running


class Collector:
    """A function that writes down the events it gets; `fail_once` has the next invocation end in an error."""

    def __init__(self, emulator: EmulatorThread, tmp_path: Path) -> None:
        self._file, self._fail = tmp_path / "collected", tmp_path / "fail"
        self.environment = {"FILE": str(self._file), "FAIL": str(self._fail)}
        emulator.deploy("collect", COLLECT, environment=self.environment)

    def fail_once(self) -> None:
        self._fail.touch()

    @property
    def events(self) -> list[Any]:
        if not self._file.exists():
            return []
        return [json.loads(line) for line in self._file.read_text().splitlines()]

    def records(self) -> list[Any]:
        return [record for event in self.events for record in event["Records"]]


@pytest.fixture
def collector(emulator: EmulatorThread, tmp_path: Path) -> Collector:
    return Collector(emulator, tmp_path)


# --- schedules --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "seconds"), [("rate(1 minute)", 60), ("rate(5 minutes)", 300), ("rate(2 hours)", 7200)]
)
def test_a_rate_is_a_period(expression: str, seconds: int) -> None:
    assert period_s(expression) == seconds


@pytest.mark.parametrize("expression", ["cron(0 12 * * ? *)", "rate(0 minutes)", "rate(1 second)", ""])
def test_another_expression_is_refused(expression: str) -> None:
    with pytest.raises(UnknownExpression, match="is no rate"):
        period_s(expression)


def test_a_schedule_sends_an_event_each_period(emulator: EmulatorThread, collector: Collector) -> None:
    rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/each"
    schedule = Schedule(rule, "collect", 0.05, ACCOUNT, REGION)
    emulator.do(lambda: emulator.emulator.run(ScheduleSource(emulator.emulator.dispatcher.accept, schedule)))
    until(lambda: len(collector.events) >= 3)
    event = collector.events[0]
    assert (event["detail-type"], event["source"]) == ("Scheduled Event", "aws.events")
    assert event["resources"] == [rule]


# --- queues -----------------------------------------------------------------------------------


class Queue:
    """A queue of its own, which feeds `collect`."""

    def __init__(self, aws: RunningAws, name: str, **attributes: str) -> None:
        self.client = client_of("sqs", aws.url, aws.key)
        self.url = self.client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        self.arn = self._attributes("QueueArn")["QueueArn"]

    def feed(self, emulator: EmulatorThread, **settings: Any) -> None:
        mapping = QueueMapping("collect", self.arn, **settings)

        def begin() -> None:
            emulator.emulator.run(QueueSource(self.client, emulator.emulator.dispatcher.invoke, mapping))

        emulator.do(begin)

    def send(self, body: str, **arguments: Any) -> None:
        self.client.send_message(QueueUrl=self.url, MessageBody=body, **arguments)

    def left(self) -> int:
        """Messages that are shown, taken or delayed."""
        counts = self._attributes(
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        )
        return sum(map(int, counts.values()))

    def _attributes(self, *names: str) -> dict[str, str]:
        answer = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(names))
        attributes: dict[str, str] = answer["Attributes"]
        return attributes


def test_a_message_is_handed_over_and_deleted(
    emulator: EmulatorThread, collector: Collector, aws: RunningAws
) -> None:
    queue = Queue(aws, "handed-over")
    queue.feed(emulator)
    attribute = {"kind": {"DataType": "String", "StringValue": "hint"}}
    queue.send("wake", MessageAttributes=attribute)
    until(lambda: len(collector.events) == 1)
    (record,) = collector.records()
    assert (record["body"], record["eventSource"], record["eventSourceARN"]) == ("wake", "aws:sqs", queue.arn)
    assert record["messageAttributes"]["kind"]["stringValue"] == "hint"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    until(lambda: queue.left() == 0)


def test_a_message_whose_invocation_failed_is_shown_again(
    emulator: EmulatorThread, collector: Collector, aws: RunningAws
) -> None:
    queue = Queue(aws, "shown-again", VisibilityTimeout="1")
    collector.fail_once()
    queue.feed(emulator)
    queue.send("wake")
    until(lambda: len(collector.events) == 2)
    counts = [record["attributes"]["ApproximateReceiveCount"] for record in collector.records()]
    assert counts == ["1", "2"]
    until(lambda: queue.left() == 0)


def test_a_delayed_message_comes_late(
    emulator: EmulatorThread, collector: Collector, aws: RunningAws
) -> None:
    """The alarm clock: the delay is the service's, so the first message overtakes."""
    queue = Queue(aws, "late")
    queue.feed(emulator)
    queue.send("late", DelaySeconds=1)
    queue.send("soon")
    until(lambda: len(collector.records()) == 2)
    assert [record["body"] for record in collector.records()] == ["soon", "late"]
    sent, received = (
        int(collector.records()[1]["attributes"][name])
        for name in ("SentTimestamp", "ApproximateFirstReceiveTimestamp")
    )
    assert received - sent >= 900


def test_messages_come_in_batches_and_only_those_that_were_done_are_deleted(
    emulator: EmulatorThread, aws: RunningAws
) -> None:
    emulator.deploy(
        "collect",
        "def handler(event, context):\n"
        "    print(len(event['Records']), 'came')\n"
        "    bad = [record['messageId'] for record in event['Records'] if record['body'] == 'bad']\n"
        "    return {'batchItemFailures': [{'itemIdentifier': id} for id in bad]}\n",
    )
    queue = Queue(aws, "in-part", VisibilityTimeout="600")
    for body in ("good", "bad", "good"):
        queue.send(body)
    queue.feed(emulator, batch_size=3, reports_failures=True)
    until(lambda: queue.left() == 1)
    assert "3 came" in emulator.log("collect")


# --- streams ----------------------------------------------------------------------------------


class Stream:
    """A stream of its own, which feeds `collect`."""

    def __init__(self, aws: RunningAws, name: str) -> None:
        self.client, self.name = client_of("kinesis", aws.url, aws.key), name
        self.client.create_stream(StreamName=name, ShardCount=2)
        description = self.client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        self.arn = description["StreamARN"]

    def feed(self, emulator: EmulatorThread, **settings: Any) -> None:
        mapping = StreamMapping("collect", self.arn, **settings)

        async def begin() -> None:
            source = StreamSource(self.client, emulator.emulator.dispatcher.invoke, mapping, 0.02)
            emulator.emulator.run(source)
            await source.reading.wait()

        emulator.call(begin())

    def put(self, data: str, key: str = "k") -> None:
        self.client.put_record(StreamName=self.name, PartitionKey=key, Data=data.encode())


def texts(collector: Collector) -> list[str]:
    return [base64.b64decode(record["kinesis"]["data"]).decode() for record in collector.records()]


def test_records_of_a_shard_come_in_order(
    emulator: EmulatorThread, collector: Collector, aws: RunningAws
) -> None:
    stream = Stream(aws, "in-order")
    stream.put("before")
    stream.feed(emulator)
    for number in range(5):
        stream.put(str(number))
    until(lambda: len(collector.records()) == 5)
    assert texts(collector) == ["0", "1", "2", "3", "4"]
    record = collector.records()[0]
    assert (record["eventSource"], record["eventSourceARN"]) == ("aws:kinesis", stream.arn)
    assert record["eventID"].startswith("shardId-00000000000")
    assert record["kinesis"]["partitionKey"] == "k"


def test_a_batch_that_failed_is_tried_again(
    emulator: EmulatorThread, collector: Collector, aws: RunningAws
) -> None:
    stream = Stream(aws, "again")
    stream.put("first")
    collector.fail_once()
    stream.feed(emulator, starting_position="TRIM_HORIZON", batch_size=1)
    stream.put("second")
    until(lambda: len(collector.records()) == 3)
    assert texts(collector) == ["first", "first", "second"]


@pytest.mark.parametrize("limit", [{"retries": 0}, {"max_age_s": 0.0}], ids=["retries", "age"])
def test_a_batch_is_given_up_after_its_retries_or_its_time(
    emulator: EmulatorThread, collector: Collector, aws: RunningAws, limit: dict[str, Any], request: Any
) -> None:
    stream = Stream(aws, f"given-up-{request.node.callspec.id}")
    collector.fail_once()
    stream.feed(emulator, batch_size=1, **limit)
    stream.put("lost")
    stream.put("kept")
    until(lambda: len(collector.records()) == 2)
    assert texts(collector) == ["lost", "kept"]
    assert emulator.figures("collect").errors == 1


# --- an account -------------------------------------------------------------------------------


class Deployment:
    """What `chalice deploy` makes of one function, of its triggers and of its API, each by the same calls."""

    def __init__(self, aws: RunningAws, package: Path, **environment: str) -> None:
        self.clients: Callable[[str], Any] = lambda service: client_of(service, aws.url, aws.key)
        iam, aws_lambda = self.clients("iam"), self.clients("lambda")
        role = iam.create_role(RoleName="role", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        self.arn = aws_lambda.create_function(
            FunctionName="collect",
            Runtime="python3.11",
            Role=role,
            Handler="main.handler",
            Code={"ZipFile": package.read_bytes()},
            Timeout=7,
            MemorySize=320,
            Environment={"Variables": environment},
        )["FunctionArn"]
        aws_lambda.put_function_concurrency(FunctionName="collect", ReservedConcurrentExecutions=5)
        aws_lambda.put_function_event_invoke_config(FunctionName="collect", MaximumRetryAttempts=0)
        self.stream = Stream(aws, "discovered")
        aws_lambda.create_event_source_mapping(
            EventSourceArn=self.stream.arn, FunctionName="collect", BatchSize=9, StartingPosition="LATEST"
        )
        self.queue = Queue(aws, "discovered")
        aws_lambda.create_event_source_mapping(
            EventSourceArn=self.queue.arn, FunctionName="collect", BatchSize=3, Enabled=False
        )
        events = self.clients("events")
        self.rule = events.put_rule(Name="each", ScheduleExpression="rate(1 minute)")["RuleArn"]
        events.put_targets(Rule="each", Targets=[{"Id": "1", "Arn": self.arn}])
        self._make_api()

    def _make_api(self) -> None:
        gateway = self.clients("apigateway")
        api = gateway.create_rest_api(name="api")["id"]
        root = gateway.get_resources(restApiId=api)["items"][0]["id"]
        resource = gateway.create_resource(restApiId=api, parentId=root, pathPart="things")["id"]
        place = {"restApiId": api, "resourceId": resource, "httpMethod": "POST"}
        gateway.put_method(**place, authorizationType="NONE")
        invocations = f"lambda:path/2015-03-31/functions/{self.arn}/invocations"
        gateway.put_integration(
            **place,
            type="AWS_PROXY",
            integrationHttpMethod="POST",
            uri=f"arn:aws:apigateway:{REGION}:{invocations}",
        )
        gateway.create_deployment(restApiId=api, stageName="api")
        self.api = api


@pytest.fixture
def fresh(aws: RunningAws) -> RunningAws:
    """The same server with nothing in it."""
    aws.forget()
    return aws


def test_an_account_is_read_as_it_was_deployed(emulator: EmulatorThread, fresh: RunningAws) -> None:
    package = emulator.zip(COLLECT)
    deployment = Deployment(fresh, package, MINE="1")
    account = discover(deployment.clients, [emulator.zip("other = 1"), package])
    assert account.functions == (
        Function("collect", "main.handler", package, 320, 7.0, {"MINE": "1"}, reserved_concurrency=5),
    )
    assert account.async_rules == {"collect": AsyncRules(retries=0)}
    assert account.loops_allowed == frozenset()
    assert account.schedules == (Schedule(deployment.rule, "collect", 60.0, ACCOUNT, REGION),)
    assert account.queues == ()  # it is disabled
    assert account.streams == (StreamMapping("collect", deployment.stream.arn, batch_size=9),)
    (api,) = account.rest_apis
    assert (api.id, api.stage) == (deployment.api, "api")
    assert api.resources == {"/things": {"POST": "collect"}}


def test_a_function_whose_package_was_not_given_is_named(emulator: EmulatorThread, fresh: RunningAws) -> None:
    deployment = Deployment(fresh, emulator.zip(COLLECT))
    with pytest.raises(CodeMissing, match="collect"):
        discover(deployment.clients, [emulator.zip("other = 1")])


def test_an_account_runs_with_all_that_invokes_it(start: Start, tmp_path: Path, fresh: RunningAws) -> None:
    emulator = start(Rules(stream_poll_s=0.02, schedule_period_s=0.1), upstream=fresh.url, key=fresh.key)
    collector = Collector(emulator, tmp_path)
    deployment = Deployment(fresh, emulator.zip(COLLECT), **collector.environment)
    account = discover(deployment.clients, [emulator.emulator.deployed("collect").function.code])
    urls = emulator.call(emulator.emulator.load(account, deployment.clients))
    deployment.stream.put("record")
    request = urllib.request.Request(f"{urls[f'{deployment.api}/api']}/things", b"body", method="POST")
    with pytest.raises(urllib.error.HTTPError, match="502"):  # the collector returns nothing
        urllib.request.urlopen(request, timeout=60)
    kinds = {"detail-type", "Records", "resource"}
    until(lambda: kinds <= {kind for event in collector.events for kind in event})


def test_an_account_that_is_loaded_again_runs_each_source_once_and_ends_those_that_went(
    start: Start, tmp_path: Path, fresh: RunningAws
) -> None:
    emulator = start(Rules(stream_poll_s=0.02), upstream=fresh.url, key=fresh.key)
    collector = Collector(emulator, tmp_path)
    deployment = Deployment(fresh, emulator.zip(COLLECT), **collector.environment)
    account = discover(deployment.clients, [emulator.emulator.deployed("collect").function.code])

    def load(changed: Account) -> None:
        emulator.call(emulator.emulator.load(changed, deployment.clients))

    def put(text: str, *, heard: bool) -> None:
        deployment.stream.put(text)
        if heard:
            until(lambda: text in said())

    def said() -> list[str]:
        return [base64.b64decode(record["kinesis"]["data"]).decode() for record in collector.records()]

    load(account)
    load(account)
    put("one", heard=True)
    put("two", heard=True)
    load(replace(account, streams=()))
    put("three", heard=False)
    load(account)
    put("four", heard=True)
    assert said() == ["one", "two", "four"]


# --- the endpoint behind ----------------------------------------------------------------------


def test_what_the_endpoint_does_not_serve_goes_to_the_one_behind(start: Start, fresh: RunningAws) -> None:
    emulator = start(upstream=fresh.url, key=fresh.key)
    deployment = Deployment(fresh, emulator.zip(COLLECT))
    (listed,) = emulator.client.list_functions()["Functions"]
    assert listed["FunctionArn"] == deployment.arn
    with pytest.raises(ClientError, match="ResourceNotFound"):
        emulator.client.get_function(FunctionName="nobody")


def test_what_is_set_here_is_recorded_there(start: Start, tmp_path: Path, fresh: RunningAws) -> None:
    emulator = start(upstream=fresh.url, key=fresh.key)
    deployment = Deployment(fresh, emulator.zip(COLLECT))
    Collector(emulator, tmp_path)
    emulator.client.put_function_concurrency(FunctionName="collect", ReservedConcurrentExecutions=11)
    behind = deployment.clients("lambda")
    assert behind.get_function_concurrency(FunctionName="collect")["ReservedConcurrentExecutions"] == 11
    emulator.client.delete_function_concurrency(FunctionName="collect")
    assert "ReservedConcurrentExecutions" not in behind.get_function_concurrency(FunctionName="collect")


def test_an_endpoint_behind_that_is_gone_is_a_bad_gateway(start: Start) -> None:
    emulator = start(upstream=f"http://127.0.0.1:{ports.free_port()}")
    with pytest.raises(ClientError) as failed:
        emulator.client.list_functions()
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 502
