"""`bide cost`: projects a workload by list prices, and asks no server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bide.prices import LISTED
from bide_client import exit_codes

from .ran import Bide
from .stub_server import StubServer

PAGE = (Path(__file__).parents[2] / "docs" / "cost.md").read_text(encoding="utf-8")
PRINTED = re.findall(r"^```console\n\$ bide (cost [^\n]+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def _no_server_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("BIDE_PRICES", "BIDE_MEMORY_MB"):
        monkeypatch.delenv(variable, raising=False)


def document(bide: Bide, *words: str) -> dict[str, Any]:
    ran = bide("cost", "--json", *words)
    assert (ran.code, ran.err, ran.out.count("\n")) == (exit_codes.OK, "", 1)
    found: dict[str, Any] = json.loads(ran.out)
    return found


@pytest.mark.parametrize(("words", "output"), PRINTED, ids=[words for words, _ in PRINTED])
def test_it_prints_what_the_page_shows(bide: Bide, words: str, output: str) -> None:
    ran = bide(*words.split())
    assert (ran.code, ran.err) == (exit_codes.OK, "")
    shown = output.removesuffix("...\n")
    assert ran.out.startswith(shown) if shown != output else ran.out == output


def test_the_page_shows_a_night() -> None:
    assert any("--wait 8h" in words for words, _ in PRINTED)


def test_no_server_is_asked(served: StubServer, bide: Bide) -> None:
    assert bide("cost").code == exit_codes.OK
    assert served.asked == []


def test_it_tells_each_bill_and_what_it_took_for_granted(bide: Bide) -> None:
    out = bide("cost", "--tasks", "1e6").out
    assert out.startswith("1,000,000 tasks, submitted over 1 h: 1 h in 12 waits, and 50 ms active, each\n")
    for heading in (
        "requests of the clients",
        "work",
        "each month, with or without tasks",
        "Taken for granted:",
    ):
        assert f"\n{heading}" in out
    for name in ("Bide", "sleeping Lambda", "Step Functions", "durable functions"):
        assert re.search(rf"^  {name} +\$[\d,.]+ +\$[\d,.]+", out, re.MULTILINE)
    assert "0.34  worker's time to resume one task" in out
    assert "(assumed, not measured)" in out


def test_the_document_says_the_same(bide: Bide) -> None:
    found = document(
        bide, "--tasks", "1000", "--wait", "2h", "--polls", "4", "--active", "1.5s", "--spread", "0"
    )
    assert found["workload"] == {
        "tasks": 1000, "wait_s": 7200, "polls": 4, "active_ms": 1500, "client_polls": 2, "spread_s": 0,
        "memory_mb": 512, "rival_memory_mb": 128, "retention_s": 86400, "transitions": 3, "operations": 2,
        "payload_kb": 1,
    }  # fmt: skip
    for bill in (found["requests"], found["work"], *found["elsewhere"].values()):
        assert bill["usd"] == pytest.approx(sum(item["usd"] for item in bill["items"]), abs=1e-11)
        assert bill["usd_per_million_tasks"] == pytest.approx(bill["usd"] * 1000, rel=1e-6)
    assert found["elsewhere"].keys() == {"sleeping Lambda", "Step Functions", "durable functions"}
    assert found["floor_month"].keys() == {"usd", "items"}
    assert {price["name"]: price["usd"] for price in found["prices"]} == dict(LISTED)


def test_each_number_that_is_taken_for_granted_can_be_given(bide: Bide) -> None:
    plain = document(bide)
    for name, taken in plain["overheads"].items():
        changed = document(bide, f"--{name.replace('_', '-')}", str(taken * 2))
        assert changed["overheads"] == plain["overheads"] | {name: taken * 2}
        assert (changed["requests"], changed["work"], changed["floor_month"]) != (
            plain["requests"], plain["work"], plain["floor_month"],
        )  # fmt: skip
    assert (
        "  1556  life of a worker that is woken for one thing, its start included (given)"
        in bide("cost", "--life-ms", "1556").out
    )


@pytest.mark.parametrize(
    ("words", "site"),
    [
        (
            [],
            {
                "serverless": True,
                "nodes": 2,
                "endpoints": 2,
                "zones": 2,
                "nats": 0,
                "shards": 0,
                "queue": True,
            },
        ),
        (["--nodes", "3"], {"serverless": False, "nodes": 3}),
        (["--endpoints", "0", "--zones", "1", "--nats", "2"], {"endpoints": 0, "zones": 1, "nats": 2}),
        (["--no-queue", "--shards", "4"], {"queue": False, "shards": 4}),
    ],
    ids=str,
)
def test_what_stands_in_any_case_can_be_given(bide: Bide, words: list[str], site: dict[str, Any]) -> None:
    assert document(bide, *words)["site"].items() >= site.items()


def test_prices_come_from_the_setting_and_over_it_from_the_options(
    bide: Bide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIDE_PRICES", "lambda_gb_second=0.5,nat_hour=2")
    monkeypatch.setenv("BIDE_MEMORY_MB", "1024")
    found = document(bide, "--price", "nat_hour=3", "--price", "endpoint_hour=4", "--nats", "1")
    told = {price["name"]: price["usd"] for price in found["prices"]}
    assert told == {**LISTED, "lambda_gb_second": 0.5, "nat_hour": 3.0, "endpoint_hour": 4.0}
    assert found["workload"]["memory_mb"] == 1024
    out = bide("cost", "--memory", "256").out
    assert "Set otherwise: lambda_gb_second=0.5, nat_hour=2.0." in out
    assert "s of 256 MB" in out


def test_the_table_is_printed_with_its_sources(bide: Bide) -> None:
    ran = bide("cost", "--prices", "--price", "nat_hour=1")
    assert len(ran.out.splitlines()) == 1 + len(LISTED)
    assert "  lambda_gb_second              0.0000166667  GB-second, x86 (AWS Lambda Pricing)\n" in ran.out
    assert "(Amazon VPC Pricing; set, listed is 0.045)" in ran.out
    listed = json.loads(bide("cost", "--prices", "--json").out)
    assert [price["name"] for price in listed["prices"]] == list(LISTED)
    assert all(price["source"] and price["unit"] for price in listed["prices"])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--tasks", "0"], "'0' is no whole number from 1"),
        (["--tasks", "1.5"], "'1.5' is no whole number from 1"),
        (["--tasks", "nan"], "'nan' is no number"),
        (["--tasks", "1e13"], "is no number from 0 to 1e+12"),
        (["--polls", "0"], "'0' is no whole number from 1"),
        (["--memory", "64"], "'64' is no whole number from 128"),
        (["--wait", "soon"], "'soon' is no duration"),
        (["--wait", "-1s"], "argument --wait"),
        (["--wait"], "argument --wait: expected one argument"),
        (["--active", "inf"], "'inf' is no duration"),
        (["--life-ms", "fast"], "'fast' is no number"),
        (["--price", "sqs=1"], "it names 'sqs'; there are lambda_gb_second"),
        (["--price", "nat_hour=-1"], "a price is name=dollars"),
        (["--nats", "some"], "'some' is no number"),
        (["overnight"], "unrecognized arguments: overnight"),
    ],
    ids=" ".join,
)
def test_a_wrong_word_ends_with_2(bide: Bide, words: list[str], complaint: str) -> None:
    ran = bide("cost", *words)
    assert (ran.code, ran.out) == (exit_codes.USAGE, "")
    assert ran.err.startswith("bide: ")
    assert complaint in ran.err


def test_a_wrong_setting_ends_with_2(bide: Bide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIDE_PRICES", "sqs=1")
    ran = bide("cost")
    assert (ran.code, ran.out) == (exit_codes.USAGE, "")
    assert "BIDE_PRICES names 'sqs'" in ran.err


def test_its_wait_is_not_that_of_submit(served: StubServer, bide: Bide) -> None:
    """`bide submit NAME --wait` takes a number or nothing; `bide cost --wait` takes a time."""
    assert document(bide, "--wait", "90")["workload"]["wait_s"] == 90
    ran = bide("submit", "cost", "--wait", "8h")
    assert ran.code == exit_codes.USAGE
    assert served.asked == []


def test_help_names_the_options_and_their_sources(bide: Bide) -> None:
    out = " ".join(bide("cost", "--help").out.split())
    assert "bide cost --tasks 10000 --wait 8h" in out
    assert "(default: 778, sparse: measured by `make bench`" in out
    assert "--tasks N tasks (default: 1,000,000)" in out
