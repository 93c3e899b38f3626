"""The task that a server is tried with."""

from __future__ import annotations

import datetime
import enum
import uuid
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from bide.context import Context
from bide.definition import Definition, task
from bide.sample import Sample, sample


class Colour(enum.Enum):
    RED = "red"


class Place(msgspec.Struct):
    city: str
    zip: Annotated[str, Meta(min_length=7, max_length=7)]
    note: str = ""


def known(*tasks: Definition) -> dict[str, Definition]:
    return {each.name: each for each in tasks}


@task
def everything(
    ctx: Context,
    text: str,
    number: int,
    share: Annotated[float, Meta(ge=0, lt=1)],
    large: Annotated[int, Meta(ge=100, multiple_of=10)],
    flag: bool,
    when: Annotated[datetime.datetime, Meta(tz=True)],
    day: datetime.date,
    id: uuid.UUID,
    place: Place,
    places: Annotated[list[Place], Meta(min_length=2)],
    pair: tuple[int, str],
    by_name: dict[str, int],
    colour: Colour,
    word: Literal["yes", "no"],
    perhaps: int | None,
    anything: Any,
    not_needed: int = 3,
) -> None: ...


@task
def echo(value: Any) -> Any: ...


@task
def coded(code: Annotated[str, Meta(pattern="^[0-9]{3}$")]) -> None: ...


@task
def bare() -> None: ...


def test_arguments_are_made_up_that_a_task_accepts() -> None:
    made = sample(known(everything))
    assert made is not None
    assert set(made.args) == set(everything.args_type.__struct_fields__) - {"not_needed"}
    everything.decode_args(msgspec.json.encode(made.args))


def test_the_task_of_the_documents_is_taken_where_it_is_registered() -> None:
    assert sample(known(bare, echo)) == Sample("echo", {"value": "hello"})


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [((coded, everything), "everything"), ((bare,), "bare"), ((coded,), None), ((), None)],
)
def test_a_task_whose_arguments_cannot_be_made_up_is_passed_over(
    tasks: tuple[Definition, ...], expected: str | None
) -> None:
    made = sample(known(*tasks))
    assert (made and made.name) == expected


class Picky(msgspec.Struct):
    size: int

    def __post_init__(self) -> None:
        assert self.size > 100


@task
def keep(by_name: dict[str, object], value: object) -> None: ...


@task
def pick(order: Picky) -> None: ...


def test_object_is_any_json_here_too() -> None:
    made = sample(known(keep))
    assert made is not None
    assert keep.decode_args(msgspec.json.encode(made.args)).keys() == {"by_name", "value"}


def test_a_task_whose_own_types_raise_is_passed_over() -> None:
    """An API process makes the sample when it starts: none shall keep it from starting."""
    assert sample(known(pick)) is None
    made = sample(known(pick, keep))
    assert made is not None
    assert made.name == "keep"
