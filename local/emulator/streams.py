"""The Kinesis event source: reads each shard in order, a batch at a time, and tries a failed batch again."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec

from bide.duty import perform
from local.emulator.polling import SERVICE_ERRORS, Calls, Invoke, succeeds

_THREADS: Final = 4


@dataclass(frozen=True)
class StreamMapping:
    """Which stream feeds which function."""

    function: str
    stream_arn: str
    batch_size: int = 100
    starting_position: str = "LATEST"
    """`LATEST`, or `TRIM_HORIZON` for all that the stream still has."""
    retries: int | None = None
    """How often a failed batch is tried again before it is given up; None: until it succeeds."""
    max_age_s: float | None = None
    """How old a batch's first record may be when it is tried again; None: as old as it gets."""


class StreamSource:
    """Polls each shard that a stream has at the start, every `poll_s`, with a boto3 client of Kinesis."""

    def __init__(self, client: Any, invoke: Invoke, mapping: StreamMapping, poll_s: float) -> None:
        self.reading = asyncio.Event()
        """It stands in every shard: what is put from now on will be read."""
        self._calls = Calls(client, _THREADS)
        self._invoke = invoke
        self._mapping = mapping
        self._name = mapping.stream_arn.rpartition("/")[2]
        self._poll_s = poll_s
        self._iterators: dict[str, str] = {}
        """Where each shard goes on; empty at its end."""

    async def run(self) -> None:
        """Until cancelled."""
        with self._calls:
            if not self.reading.is_set():
                self._iterators = await self._first_iterators()
                self.reading.set()
            async with asyncio.TaskGroup() as shards:
                for shard in self._iterators:
                    name = f"reading {shard} of {self._name}"
                    shards.create_task(perform(name, partial(self._follow, shard)))

    async def _first_iterators(self) -> dict[str, str]:
        name = self._name
        while True:
            try:
                listed = await self._calls.call("list_shards", StreamName=name)
                return {
                    shard["ShardId"]: await self._iterator(
                        shard["ShardId"], ShardIteratorType=self._mapping.starting_position
                    )
                    for shard in listed["Shards"]
                }
            except SERVICE_ERRORS as error:
                await self._calls.pause(error)

    async def _iterator(self, shard: str, **position: str) -> str:
        answer = await self._calls.call(
            "get_shard_iterator", StreamName=self._name, ShardId=shard, **position
        )
        return str(answer["ShardIterator"])

    async def _follow(self, shard: str) -> None:
        """Read a shard to its end."""
        while iterator := self._iterators[shard]:
            try:
                read = await self._calls.call(
                    "get_records", ShardIterator=iterator, Limit=self._mapping.batch_size
                )
            except SERVICE_ERRORS as error:
                await self._calls.pause(error)
                continue
            if read["Records"]:
                await self._handle(shard, read["Records"])
            else:
                await asyncio.sleep(self._poll_s)
            self._iterators[shard] = read.get("NextShardIterator") or ""

    async def _handle(self, shard: str, records: list[dict[str, Any]]) -> None:
        event = msgspec.json.encode({"Records": [self._record(shard, record) for record in records]})
        put_at = records[0]["ApproximateArrivalTimestamp"].timestamp()
        attempts = 0
        while await succeeds(self._invoke, self._mapping.function, event, None) is None:
            attempts += 1
            if self._gives_up(attempts, time.time() - put_at):
                return
            await asyncio.sleep(self._poll_s)

    def _gives_up(self, attempts: int, age_s: float) -> bool:
        retries, max_age_s = self._mapping.retries, self._mapping.max_age_s
        return (retries is not None and attempts > retries) or (max_age_s is not None and age_s > max_age_s)

    def _record(self, shard: str, record: dict[str, Any]) -> dict[str, Any]:
        arn = self._mapping.stream_arn
        return {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": record["PartitionKey"],
                "sequenceNumber": record["SequenceNumber"],
                "data": b64encode(record["Data"]).decode("ascii"),
                "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{shard}:{record['SequenceNumber']}",
            "eventName": "aws:kinesis:record",
            "awsRegion": arn.split(":")[3],
            "eventSourceARN": arn,
        }
