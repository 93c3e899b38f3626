"""The price table: what is listed, what can be set, and dollars to the last decimal."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from bide.errors import SettingsError
from bide.prices import LISTED, TABLE, Prices, Tariff, prices, read_prices, rounded
from bide.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "cost.md").read_text(encoding="utf-8")


def test_each_price_has_a_unit_and_the_page_that_lists_it() -> None:
    assert len(LISTED) == len(TABLE)
    for price in TABLE:
        assert re.fullmatch(r"[a-z_]+", price.name)
        assert price.usd > 0
        assert price.unit
        assert re.fullmatch(r"A(WS|mazon) .* Pricing", price.source)


def test_the_page_shows_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| (.+?) \| (.+?) \| (yes|no) \|$", PAGE, re.MULTILINE)
    listed = [(p.name, p.usd, p.unit, p.source, "yes" if p.confirmed else "no") for p in TABLE]
    assert [(name, float(usd), *rest) for name, usd, *rest in rows] == listed


def test_what_is_set_replaces_what_is_listed() -> None:
    table = prices(
        read_prices("lambda_gb_second=0.0000133334, sqs_requests_million = 0,sqs_requests_million=1")
    )
    assert table["lambda_gb_second"] == 0.0000133334
    assert table["sqs_requests_million"] == 1.0
    assert table["endpoint_hour"] == LISTED["endpoint_hour"]


def test_a_price_that_does_not_exist_is_no_price() -> None:
    with pytest.raises(KeyError):
        Prices()["lambda_gb_minute"]


@pytest.mark.parametrize(
    "raw",
    ["lambda_gb_second", "lambda_gb_second=", "=", "lambda_gb_second=-1", "lambda_gb_second=1e-5",
     "lambda_gb_second=nan", "lambda_gb_second=$1", "lambda_gb_second=1=2"],
)  # fmt: skip
def test_what_is_no_price_is_refused_with_an_example(raw: str) -> None:
    with pytest.raises(ValueError, match="a price is name=dollars"):
        read_prices(raw)


def test_an_unknown_price_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({"BIDE_PRICES": "lambda_gb_second=1,sqs=2"})
    (problem,) = caught.value.problems
    assert "'sqs'" in problem
    assert problem.startswith("BIDE_PRICES names 'sqs'; there are lambda_gb_second, ")
    assert all(name in problem for name in LISTED)


def test_the_setting_is_read_as_pairs() -> None:
    assert Settings.from_environ({"BIDE_PRICES": "nat_hour=0,"}).prices == (("nat_hour", 0.0),)


@pytest.mark.parametrize(("milliseconds", "memory_mb", "usd"), [
    (1_000, 1_024, 0.0000166667),
    (32_000_000_000, 1_024, 533.3344),  # a million functions of 32 s
    (360_000_000, 1_536, 9.000018),  # the provider's example: three million of 120 ms
    (1, 128, 0.0000000020833375),
    (0, 10_240, 0.0),
])  # fmt: skip
def test_time_costs_what_the_provider_says(milliseconds: float, memory_mb: int, usd: float) -> None:
    assert math.isclose(prices().compute(milliseconds, memory_mb), usd, rel_tol=1e-12)


def test_invocations_cost_apart_from_their_time() -> None:
    assert prices().invocations(3_000_000) == pytest.approx(0.6, rel=1e-12)


@pytest.mark.parametrize(("billed_us", "usd"), [
    (0, 0.0),
    (1, 0.0),  # less than half of the last decimal
    (60, 0.000000000001),  # 5.0e-13 dollars and a little
    (1_000, 0.000000000008),
    (1_000_000, 0.000000008333),
    (86_400_000_000 * 365, 0.262800525600),
])  # fmt: skip
def test_a_cost_has_twelve_decimals(billed_us: int, usd: float) -> None:
    cheap = Tariff(prices([("lambda_gb_second", 0.0000000166667)]), 512)
    assert cheap.cost(billed_us) == usd


def test_workers_are_paid_for_their_lives_and_their_starts() -> None:
    tariff = Tariff(prices(), 1_024)
    assert tariff.paid(1_000, 0) == rounded(0.0000166667)
    assert tariff.paid(0, 5) == 0.000001
    assert tariff.paid(1_000, 5) == 0.0000176667


def test_a_tasks_share_is_never_more_than_what_its_worker_costs() -> None:
    tariff = Tariff(prices(), 512)
    for ms in (1, 7, 999, 123_456_789):
        assert tariff.cost(ms * 1_000) <= tariff.paid(ms, 1)
