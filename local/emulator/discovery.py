"""Reads an account: its functions with their rules, what invokes them, and its REST APIs.

It is what `chalice deploy` has created, as AWS's own API tells it. The API does not give the
code away on one machine; it is found among given zips by its digest.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from local.emulator.dispatcher import bare
from local.emulator.function import ACCOUNT, AsyncRules, Function
from local.emulator.queues import QueueMapping
from local.emulator.rest_api import RestApi
from local.emulator.schedules import Schedule, period_s
from local.emulator.streams import StreamMapping

Clients = Callable[[str], Any]
"""Name of a service -> a boto3 client of it."""

_FUNCTION: Final = re.compile(r":function:[^/]+")


class CodeMissing(LookupError):
    """A function's package is not among the given zips; the message names both."""


@dataclass(frozen=True)
class Account:
    """What an account has."""

    functions: tuple[Function, ...]
    async_rules: Mapping[str, AsyncRules]
    """Of the functions that have rules of their own."""
    loops_allowed: frozenset[str]
    """Functions whose recursion is not stopped."""
    schedules: tuple[Schedule, ...]
    queues: tuple[QueueMapping, ...]
    streams: tuple[StreamMapping, ...]
    rest_apis: tuple[RestApi, ...]


def discover(clients: Clients, zips: Iterable[Path]) -> Account:
    """Read it all. Raises CodeMissing, UnknownExpression and what boto3 raises."""
    aws_lambda = clients("lambda")
    configured = list(_pages(aws_lambda, "list_functions", "Functions"))
    codes = {_sha256(path): path for path in zips}
    names = [str(each["FunctionName"]) for each in configured]
    mappings = list(_pages(aws_lambda, "list_event_source_mappings", "EventSourceMappings"))
    enabled = [mapping for mapping in mappings if mapping.get("State") != "Disabled"]
    rules = {name: found for name in names if (found := _async_rules(aws_lambda, name))}
    return Account(
        functions=tuple(_function(aws_lambda, each, codes) for each in configured),
        async_rules=rules,
        loops_allowed=frozenset(name for name in names if _loops(aws_lambda, name)),
        schedules=tuple(_schedules(clients("events"))),
        queues=tuple(_queue(each) for each in enabled if _service(each) == "sqs"),
        streams=tuple(_stream(each) for each in enabled if _service(each) == "kinesis"),
        rest_apis=tuple(_rest_apis(clients("apigateway"))),
    )


def _pages(client: Any, method: str, key: str) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator(method).paginate():
        yield from page[key]


def _sha256(path: Path) -> str:
    """The digest by which Lambda names a package."""
    return base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode("ascii")


def _function(client: Any, configured: dict[str, Any], codes: Mapping[str, Path]) -> Function:
    name, code = configured["FunctionName"], codes.get(configured["CodeSha256"])
    if code is None:
        raise CodeMissing(
            f"the package of {name}, {configured['CodeSha256']}, is not among {[*codes.values()]}"
        )
    *_, region, account, _, _ = configured["FunctionArn"].split(":")
    reserved = client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
    return Function(
        name=name,
        handler=configured["Handler"],
        code=code,
        memory_mb=configured.get("MemorySize", 128),
        timeout_s=float(configured.get("Timeout", 3)),
        environment=configured.get("Environment", {}).get("Variables", {}),
        reserved_concurrency=reserved,
        region=region,
        account=account,
    )


def _async_rules(client: Any, name: str) -> AsyncRules | None:
    try:
        found = client.get_function_event_invoke_config(FunctionName=name)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise
    default = AsyncRules()
    return AsyncRules(
        retries=found.get("MaximumRetryAttempts", default.retries),
        max_age_s=float(found.get("MaximumEventAgeInSeconds", default.max_age_s)),
    )


def _loops(client: Any, name: str) -> bool:
    try:
        return bool(client.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Allow")
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False  # moto as it comes knows no such setting
        raise


def _service(mapping: dict[str, Any]) -> str:
    return str(mapping["EventSourceArn"]).split(":")[2]


def _queue(mapping: dict[str, Any]) -> QueueMapping:
    return QueueMapping(
        function=bare(mapping["FunctionArn"]),
        queue_arn=mapping["EventSourceArn"],
        batch_size=mapping.get("BatchSize", 10),
        reports_failures="ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", ()),
    )


def _stream(mapping: dict[str, Any]) -> StreamMapping:
    retries = mapping.get("MaximumRetryAttempts", -1)
    max_age_s = mapping.get("MaximumRecordAgeInSeconds", -1)
    return StreamMapping(
        function=bare(mapping["FunctionArn"]),
        stream_arn=mapping["EventSourceArn"],
        batch_size=mapping.get("BatchSize", 100),
        starting_position=mapping.get("StartingPosition", "LATEST"),
        retries=None if retries < 0 else retries,
        max_age_s=None if max_age_s < 0 else float(max_age_s),
    )


def _schedules(events: Any) -> Iterator[Schedule]:
    for rule in _pages(events, "list_rules", "Rules"):
        if rule.get("State") != "ENABLED" or "ScheduleExpression" not in rule:
            continue
        *_, region, account, _ = rule["Arn"].split(":")
        for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
            if _FUNCTION.search(target["Arn"]):
                period = period_s(rule["ScheduleExpression"])
                yield Schedule(rule["Arn"], bare(target["Arn"]), period, account, region)


def _rest_apis(gateway: Any) -> Iterator[RestApi]:
    for api in _pages(gateway, "get_rest_apis", "items"):
        resources = {}
        for resource in gateway.get_resources(restApiId=api["id"], embed=["methods"], limit=500)["items"]:
            methods = {
                method: bare(match[0].removeprefix(":"))
                for method, settings in resource.get("resourceMethods", {}).items()
                if (match := _FUNCTION.search(settings.get("methodIntegration", {}).get("uri", "")))
            }
            if methods:
                resources[resource["path"]] = methods
        for stage in gateway.get_stages(restApiId=api["id"])["item"]:
            yield RestApi(api["id"], stage["stageName"], ACCOUNT, resources)
