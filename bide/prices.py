"""What things cost: public list prices, each of which can be set. Pure.

United States dollars, AWS region us-east-1, first tier, without free tiers, discounts and tax. No price
is asked for at run time: what somebody else pays is told by `BIDE_PRICES`, or by `bide cost --price`.
docs/cost.md shows the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

CHECKED: Final = "2026-11-24"
"""When the prices were last looked up."""

_DIGITS: Final = 12
"""Decimals of a dollar that are kept: a millisecond of the smallest function costs 0.000000002."""

_NUMBER: Final = re.compile(r"\d{1,9}(\.\d{1,15})?")


@dataclass(frozen=True, slots=True)
class Price:
    """One row of the table."""

    name: str
    usd: float
    unit: str
    """What that many dollars buy."""
    source: str
    """The public page that lists it."""
    confirmed: bool = True
    """Whether the provider's own text was read; if not, others who quote that page, who agreed."""


_LAMBDA: Final = "AWS Lambda Pricing"
_CACHE: Final = "Amazon ElastiCache Pricing"
_KINESIS: Final = "Amazon Kinesis Data Streams Pricing"

TABLE: Final = (
    Price("lambda_gb_second", 0.0000166667, "GB-second, x86", _LAMBDA),
    Price("lambda_requests_million", 0.20, "million invocations", _LAMBDA),
    Price("api_requests_million", 3.50, "million requests of a REST API", "Amazon API Gateway Pricing"),
    Price("sqs_requests_million", 0.40, "million requests, standard queue", "Amazon SQS Pricing", False),
    Price("kinesis_shard_hour", 0.015, "hour of a provisioned shard", _KINESIS, False),
    Price("kinesis_puts_million", 0.014, "million payload units of 25 KB", _KINESIS, False),
    Price("schedule_million", 1.00, "million scheduled invocations", "Amazon EventBridge Pricing", False),
    Price("step_transitions_thousand", 0.025, "thousand transitions, standard", "AWS Step Functions Pricing"),
    Price("durable_operations_million", 8.00, "million operations of durable functions", _LAMBDA),
    Price("durable_written_gb", 0.25, "GB that these operations write", _LAMBDA),
    Price("durable_retained_gb_month", 0.15, "GB of it kept for a month", _LAMBDA),
    Price("store_gb_hour", 0.084, "hour of a GB, Serverless for Valkey", _CACHE, False),
    Price("store_ecpu_million", 0.0023, "million processing units of it", _CACHE, False),
    Price("store_node_hour", 0.0128, "hour of a cache.t4g.micro node, Valkey", _CACHE, False),
    Price("endpoint_hour", 0.01, "hour of an endpoint in one zone", "AWS PrivateLink Pricing", False),
    Price("nat_hour", 0.045, "hour of a NAT gateway", "Amazon VPC Pricing", False),
)  # fmt: skip

LISTED: Final[Mapping[str, float]] = {price.name: price.usd for price in TABLE}


@dataclass(frozen=True)
class Prices:
    """The table, with what was set in place of the listed price. `prices["lambda_gb_second"]` is dollars."""

    changed: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return self.changed.get(name, LISTED[name])

    def compute(self, milliseconds: float, memory_mb: int) -> float:
        """Dollars for a function of that memory that runs so long, without its invocations."""
        return milliseconds / 1000 * memory_mb / 1024 * self["lambda_gb_second"]

    def invocations(self, count: float) -> float:
        """Dollars for so many invocations, without the time that they run."""
        return count / 1_000_000 * self["lambda_requests_million"]


def read_prices(raw: str) -> tuple[tuple[str, float], ...]:
    """`name=dollars`, separated by commas. Raises ValueError with the names that there are."""
    return tuple(read_price(part.strip()) for part in raw.split(",") if part.strip())


def read_price(part: str) -> tuple[str, float]:
    """`name=dollars`. Raises ValueError."""
    name, equals, value = (word.strip() for word in part.partition("="))
    if not equals or not _NUMBER.fullmatch(value):
        raise ValueError(f"holds {part!r}; a price is name=dollars, such as lambda_gb_second=0.0000133334")
    if name not in LISTED:
        raise ValueError(f"names {name!r}; there are {', '.join(LISTED)}")
    return name, float(value)


def prices(changed: Iterable[tuple[str, float]] = ()) -> Prices:
    """The table with these changes, the last of which counts."""
    return Prices(dict(changed))


@dataclass(frozen=True)
class Tariff:
    """What a server tells dollars by."""

    prices: Prices
    memory_mb: int
    """Of the function that works."""

    def cost(self, billed_us: int) -> float:
        """Dollars for tasks' active shares of their workers' time."""
        return rounded(self.prices.compute(billed_us / 1000, self.memory_mb))

    def paid(self, worker_ms: int, starts: int) -> float:
        """Dollars for the whole time of workers, idle or not, and for starting them."""
        return rounded(self.prices.compute(worker_ms, self.memory_mb) + self.prices.invocations(starts))


def rounded(usd: float) -> float:
    """Dollars as they are told: with twelve decimals."""
    return round(usd, _DIGITS)
