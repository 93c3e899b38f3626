"""The trace header that a chain of invocations is followed by."""

from __future__ import annotations

import re
from urllib.parse import quote

from local.emulator.trace import extend


def test_a_chain_begins_without_a_header() -> None:
    header, count = extend(None, "arn:a")
    assert count == 1
    form = r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0;Lineage=[0-9a-f]{8}:1"
    assert re.fullmatch(form, header)


def test_each_function_is_counted_for_itself() -> None:
    header, counts = None, []
    for arn in ("arn:a", "arn:b", "arn:a", "arn:a", "arn:b"):
        header, count = extend(header, arn)
        counts.append(count)
    assert counts == [1, 1, 2, 3, 2]


def test_the_root_and_whether_it_is_sampled_stay() -> None:
    header, _ = extend("Root=1-0-f;Parent=1;Sampled=1;Self=2", "arn:a")
    assert header.startswith("Root=1-0-f;")
    assert ";Sampled=1;" in header


def test_a_header_is_understood_as_the_sdk_encodes_it() -> None:
    header, _ = extend(None, "arn:a")
    header, _ = extend(header, "arn:b")
    assert extend(quote(header, safe="-=;:+&[]{}\"',"), "arn:a")[1] == 2


def test_a_header_that_is_no_trace_begins_a_chain() -> None:
    for nonsense in ("", "nonsense", "Lineage=x", "Lineage=a:b|c", ";;="):
        assert extend(nonsense, "arn:a")[1] == 1
