"""How `bide submit` reads a task's arguments."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from bide_client import UsageError
from bide_client.arguments import arguments


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("v=1", 1),
        ("v=-2.5", -2.5),
        ("v=true", True),
        ("v=null", None),
        ('v={"a": [1]}', {"a": [1]}),
        ('v="1"', "1"),
        ("v=hello", "hello"),
        ("v=", ""),
        ("v=a=b", "a=b"),
        ("v=https://example.com/?q=1", "https://example.com/?q=1"),
        ("v=01234", "01234"),
        ("v=NaN", "NaN"),
        ("v=-Infinity", "-Infinity"),
        ("v={broken", "{broken"),
        ("v= 1", 1),
    ],
)
def test_a_value_is_json_if_it_is_json_else_text(word: str, value: Any) -> None:
    read = arguments([word], None)["v"]
    assert read == value
    assert type(read) is type(value)


def test_args_gives_the_object_and_words_go_over_it() -> None:
    assert arguments(["b=3"], '{"a": 1, "b": 2}') == {"a": 1, "b": 3}


def test_args_can_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "args.json"
    path.write_text('{"greeting": "grüß"}', encoding="utf-8")
    assert arguments([], f"@{path}") == {"greeting": "grüß"}


def test_args_can_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"value": 1}')))
    assert arguments([], "-") == {"value": 1}


@pytest.mark.parametrize(
    ("words", "document", "complaint"),
    [
        (["value"], None, "'value' is not key=value"),
        (["=1"], None, "'=1' is not key=value"),
        (["a=1", "a=2"], None, "'a' is given twice"),
        (["a=" + "9" * 5000], None, "the value of 'a' cannot be read"),
        (["a=" + "[" * 100_000], None, "the value of 'a' cannot be read: it is nested too deeply"),
        ([], "[1]", "--args must be a JSON object"),
        ([], "{", "--args is not JSON"),
        ([], '{"a": NaN}', "--args is not JSON: NaN is no JSON"),
        ([], "@/nonexistent/args.json", "--args @/nonexistent/args.json: No such file"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_read_is_explained(words: list[str], document: str | None, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint.replace("[", r"\[")):
        arguments(words, document)


def test_a_file_that_is_no_text_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "args.json"
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(UsageError, match=r"args\.json: .*utf-8"):
        arguments([], f"@{path}")
