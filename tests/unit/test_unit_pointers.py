"""Bad arguments: a JSON pointer (RFC 6901) that leads to them, or to the last place that is known."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide import registry, task
from bide.errors import InvalidArguments

Odd = TypedDict("Odd", {"a/b~c": int, "~1": list[int]}, total=False)


class Place(TypedDict):
    city: str


@task
def take(
    odd: Odd | None = None, prices: dict[str, list[int]] | None = None, homes: dict[str, Place] | None = None
) -> None: ...


ARGUMENTS = {"odd", "prices", "homes"}


def pointer_of(raw: str) -> str:
    with pytest.raises(InvalidArguments) as caught:
        take.decode_args(raw)
    return caught.value.pointer


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        ('{"odd": {"a/b~c": "one"}}', "/odd/a~1b~0c"),
        ('{"odd": {"~1": [1, 2, "three"]}}', "/odd/~01/2"),
        ('{"odd": {"~1": "three"}}', "/odd/~01"),
    ],
)
def test_odd_names_on_the_way_are_escaped(raw: str, pointer: str) -> None:
    assert pointer_of(raw) == pointer


def test_a_pointer_ends_where_a_mappings_key_is_not_told() -> None:
    """msgspec writes `[...]` for the key; a pointer that skipped it would lead to something else."""
    assert pointer_of('{"prices": {"tea": [1, "two"]}}') == "/prices"
    assert pointer_of('{"homes": {"ann": {}}}') == "/homes"


@given(st.text(st.characters(codec="utf-8"), max_size=30).filter(lambda name: name not in ARGUMENTS))
def test_an_unknown_argument_of_any_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        take.decode_args(json.dumps({name: 1}))
    if " - at `" not in name:
        unescaped = caught.value.pointer.removeprefix("/").replace("~1", "/").replace("~0", "~")
        assert unescaped == name


def test_code_in_a_folder_whose_name_begins_like_ours_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bide_shop" / "__init__.py"
    broken.parent.mkdir()
    broken.write_text("\n1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "__file__", str(tmp_path / "bide" / "registry.py"))
    try:
        (problem,) = registry.load(["bide_shop"], local=False, strict=False).problems
    finally:
        sys.modules.pop("bide_shop", None)
    assert (problem.file, problem.line) == (str(broken), 2)
