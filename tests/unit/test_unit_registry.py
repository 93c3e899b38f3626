"""`@task`, and finding tasks in packages."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from bide import Context, Retry, task
from bide.definition import Definition, json_schema
from bide.errors import InvalidArguments, RegistryError, UnknownTask
from bide.registry import Registry, load

HERE = Path(__file__)


class Line(Struct):
    sku: str
    count: Annotated[int, Meta(ge=1)]


class Place(TypedDict):
    city: str


@dataclass
class Weight:
    grams: int


def line_of(function: Callable[..., Any]) -> int:
    return function.__code__.co_firstlineno


# --- the decorator ------------------------------------------------------------------------


def test_a_task_is_named_after_its_function() -> None:
    @task
    def greet() -> None: ...

    assert greet.name == "greet"


def test_a_task_can_be_called_like_its_function() -> None:
    @task
    def double(n: int) -> int:
        return 2 * n

    assert double(21) == double(n=21) == 42


def test_options_are_kept() -> None:
    @task(name="house.keep", queue="night", timeout="20m", retry=Retry(max_attempts=7), retention="1h")
    def keep() -> None: ...

    assert (keep.name, keep.queue, keep.timeout_s, keep.retry.max_attempts, keep.retention_ms) == (
        "house.keep",
        "night",
        1200,
        7,
        3_600_000,
    )


def test_a_plain_and_an_async_function_are_told_apart() -> None:
    @task
    def plain() -> None: ...

    @task
    async def later() -> None: ...

    assert (plain.is_async, later.is_async) == (False, True)


def test_a_context_is_not_an_argument_to_submit() -> None:
    @task
    def look(ctx: Context, url: str) -> None: ...

    assert look.takes_context
    assert look.decode_args('{"url": "x"}') == {"url": "x"}
    assert look.signature.replace("'", "") == "(url: str)"


def test_a_context_is_recognised_by_its_annotation_not_its_name() -> None:
    @task
    def look(ctx: str) -> None: ...

    assert not look.takes_context
    assert look.decode_args('{"ctx": "x"}') == {"ctx": "x"}


def positional_only(a: int, /) -> None: ...
def any_arguments(*args: int) -> None: ...
def any_keywords(**kwargs: int) -> None: ...
def late_context(a: int, ctx: Context) -> None: ...
def no_json_form(a: threading.Lock) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - the point
def of_a_class(a: Iterator[int]) -> None: ...


@pytest.mark.parametrize(
    "function", [positional_only, any_arguments, any_keywords, late_context, no_json_form, of_a_class]
)
def test_a_signature_that_cannot_be_submitted_is_refused_with_its_place(function: Callable[..., Any]) -> None:
    with pytest.raises(RegistryError) as caught:
        task(function)
    assert f"{HERE}:{line_of(function)}: " in str(caught.value)
    assert repr(function.__name__) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"name": "no name"}, "is no task name"),
        ({"name": "9lives"}, "is no task name"),
        ({"name": "n" * 129}, "is no task name"),
        ({"queue": "Night"}, "is no queue name"),
        ({"timeout": "soon"}, "is no duration"),
        ({"timeout": 0}, "must be above zero"),
        ({"timeout": None}, "is no duration"),
        ({"deadline": "soon"}, "is no duration"),
        ({"deadline": 0}, "must be above zero"),
        ({"expires": 0}, "must be above zero"),
        ({"retention": "-1s"}, "is no duration"),
    ],
)
def test_an_option_that_cannot_work_is_refused_with_its_place(
    options: dict[str, Any], complaint: str
) -> None:
    def sleepy() -> None: ...

    with pytest.raises(RegistryError) as caught:
        task(**options)(sleepy)
    assert f"{HERE}:{line_of(sleepy)}: " in str(caught.value)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("thing", [int, print, 5, "echo"])
def test_only_a_function_can_be_a_task(thing: Any) -> None:
    with pytest.raises(RegistryError, match="is no function"):
        task(thing)


# --- arguments ----------------------------------------------------------------------------


@task
def order(
    lines: list[Line],
    to: Place,
    weight: Weight | None = None,
    speed: Literal["slow", "fast"] = "slow",
    on: dt.date = dt.date(2026, 1, 1),
    note: Any = None,
) -> None: ...


def test_arguments_arrive_as_their_types() -> None:
    arguments = order.decode_args(
        '{"lines": [{"sku": "a", "count": 1}], "to": {"city": "Ulm"}, "weight": {"grams": 5},'
        ' "on": "2026-02-03"}'
    )
    assert arguments == {
        "lines": [Line("a", 1)],
        "to": {"city": "Ulm"},
        "weight": Weight(5),
        "speed": "slow",
        "on": dt.date(2026, 2, 3),
        "note": None,
    }


@pytest.mark.parametrize(
    ("raw", "pointer", "complaint"),
    [
        ('{"to": {"city": "Ulm"}}', "/lines", "missing required field"),
        ('{"lines": [], "to": {}}', "/to/city", "missing required field"),
        ('{"lines": [{"sku": "a", "count": 0}], "to": {"city": "Ulm"}}', "/lines/0/count", ">= 1"),
        ('{"lines": [{"sku": "a", "count": 1}, {"sku": 2, "count": 1}], "to": {"city": "Ulm"}}',
         "/lines/1/sku", "Expected `str`"),
        ('{"lines": [], "to": {"city": "Ulm"}, "sped": "fast"}', "/sped", "unknown field"),
        ('{"lines": [], "to": {"city": "Ulm"}, "a/b~c": 1}', "/a~1b~0c", "unknown field"),
        ('{"lines": [], "to": {"city": "Ulm"}, "speed": "warp"}', "/speed", "Invalid enum value"),
        ('{"lines": {}, "to": {"city": "Ulm"}}', "/lines", "Expected `array`"),
        ("[]", "", "Expected `object`"),
    ],
)  # fmt: skip
def test_a_bad_argument_is_refused_with_a_pointer_to_it(raw: str, pointer: str, complaint: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        order.decode_args(raw)
    assert caught.value.pointer == pointer
    assert complaint in caught.value.message


@pytest.mark.parametrize(
    "raw", ["{", "", "nope", b"\xff\xfe", '{"lines": ' + "[" * 100_000, b'{"to": "\xed\xa0\x80"}']
)
def test_what_is_no_json_is_refused(raw: bytes | str) -> None:
    with pytest.raises(InvalidArguments):
        order.decode_args(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(json_values)
def test_whatever_json_comes_is_taken_or_refused(value: Any) -> None:
    import json

    try:
        arguments = order.decode_args(json.dumps(value))
    except InvalidArguments:
        return
    assert set(arguments) == {"lines", "to", "weight", "speed", "on", "note"}


def test_a_parameter_without_a_hint_takes_anything() -> None:
    @task
    def anything(value) -> None: ...  # type: ignore[no-untyped-def]

    assert anything.decode_args('{"value": [1, {"a": null}]}') == {"value": [1, {"a": None}]}


@dataclass
class Note:
    about: object
    more: list[object]


def test_object_is_any_json_wherever_a_hint_names_it() -> None:
    @task
    def keep(value: object, by_name: dict[str, object], note: Note, other: object | None = None) -> None: ...

    taken = keep.decode_args(
        '{"value": [1, {"a": null}], "by_name": {"a": 1.5, "b": ["x"]}, "note": {"about": "x", "more": [{}]}}'
    )
    assert taken == {
        "value": [1, {"a": None}],
        "by_name": {"a": 1.5, "b": ["x"]},
        "note": Note("x", [{}]),
        "other": None,
    }
    with pytest.raises(InvalidArguments) as caught:
        keep.decode_args('{"value": 1, "by_name": [], "note": {"about": 1, "more": []}}')
    assert caught.value.pointer == "/by_name"


def test_the_schema_of_an_object_allows_any_json() -> None:
    @task
    def keep(value: object, by_name: dict[str, object]) -> None: ...

    _, components = json_schema(keep.args_type)
    assert components["keep"]["properties"]["value"].keys() == {"description"}
    assert components["keep"]["properties"]["by_name"]["type"] == "object"


@pytest.mark.parametrize(
    ("signature", "remedy"),
    [
        ("ctx", "write `ctx: Context` as the first parameter"),
        ("ctx, url: str", "write `ctx: Context` as the first parameter"),
        ("url: str, ctx", "write `ctx: Context` as the first parameter"),
        ("url: str, ctx: Context", "write it first, as `ctx: Context`"),
        ("url: str, *, ctx: Context", "write it first, as `ctx: Context`"),
        ("context: Context | None", "write it first, as `ctx: Context`"),
        ("ctx: Context, other: Context", "write it first, as `ctx: Context`"),
    ],
)
def test_a_context_that_no_task_would_get_is_refused_with_the_remedy(
    package: Package, signature: str, remedy: str
) -> None:
    file = package.write("mail", f"@task\nasync def send({signature}): ...")
    (problem,) = package.load().problems
    assert (problem.file, problem.line) == (str(file), 2)
    assert problem.message.startswith("task 'send': "), "the place is told once"
    assert remedy in problem.message


def test_an_argument_may_be_named_ctx_when_it_has_a_hint_of_its_own() -> None:
    @task
    def send(ctx: str) -> None: ...

    assert send.decode_args('{"ctx": "x"}') == {"ctx": "x"}


@pytest.mark.parametrize(
    ("default", "change"),
    [
        ([], lambda value: value.append(1)),
        ([1], lambda value: value.append(2)),
        ({"a": 1}, lambda value: value.clear()),
        ({1}, lambda value: value.add(2)),
        (bytearray(b"ab"), lambda value: value.append(1)),
        ([Line("a", 1)], lambda value: setattr(value[0], "count", 9)),
        (Line("a", 1), lambda value: setattr(value, "count", 9)),
        (Weight(1), lambda value: setattr(value, "grams", 9)),
    ],
    ids=["empty list", "list", "dict", "set", "bytearray", "list of structs", "struct", "dataclass"],
)
def test_no_call_sees_what_another_did_to_a_default(default: Any, change: Callable[[Any], Any]) -> None:
    def take(value=default) -> None: ...  # type: ignore[no-untyped-def]

    taken = task(take)
    first = taken.decode_args("{}")["value"]
    assert first == default
    assert type(first) is type(default)
    change(first)
    assert taken.decode_args("{}")["value"] == default != first


def test_a_signature_reads_as_a_person_writes_it() -> None:
    @task
    def fetch(ctx: Context, url: str, timeout: float = 5.0) -> None: ...

    assert fetch.signature.replace("'", "") == "(url: str, timeout: float = 5.0)"


# --- loading ------------------------------------------------------------------------------


class Package:
    """A package of tasks in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "shop"
        self.folder.mkdir()
        self.write("__init__", "")

    def write(self, module: str, text: str) -> Path:
        path = self.folder / f"{module}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"from bide import Context, task\n{text}\n")
        return path

    def load(self, *, local: bool = False, strict: bool = False) -> Registry:
        return load(["shop"], local=local, strict=strict)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Package(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "shop"]:
        del sys.modules[name]


def test_tasks_are_found_in_every_module(package: Package) -> None:
    package.write("__init__", "@task\ndef top(): ...")
    package.write("mail", "@task\ndef send(): ...\n@task(name='mail.fetch')\nasync def fetch(): ...")
    package.write("inner/__init__", "")
    package.write("inner/deep", "@task\ndef dig(): ...")
    assert set(package.load(strict=True).definitions) == {"top", "send", "mail.fetch", "dig"}


def test_a_package_named_twice_is_loaded_once(package: Package) -> None:
    package.write("mail", "@task\ndef send(): ...")
    assert set(load(["shop", "shop.mail"], local=False).definitions) == {"send"}


def test_a_task_imported_from_another_module_is_no_duplicate(package: Package) -> None:
    package.write("mail", "@task\ndef send(): ...")
    package.write("more", "from shop.mail import send")
    assert set(package.load(strict=True).definitions) == {"send"}


def test_two_tasks_of_one_name_are_shown_with_both_places(package: Package) -> None:
    first = package.write("a", "@task\ndef send(): ...")
    second = package.write("b", "\n\n@task\ndef send(): ...")
    registry = package.load()
    (problem,) = registry.problems
    assert str(problem).startswith(f"{second}:4: ")
    assert f"already defined at {first}:2" in problem.message
    assert registry.get("send").place == f"{first}:2"


def test_duplicates_are_an_error_when_loading_is_strict(package: Package) -> None:
    first = package.write("a", "@task\ndef send(): ...")
    second = package.write("b", "@task\ndef send(): ...")
    with pytest.raises(RegistryError) as caught:
        package.load(strict=True)
    assert f"{first}:2" in str(caught.value)
    assert f"{second}:2" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("\nimport no_such_module_anywhere", 3, "ModuleNotFoundError"),
        ("x = 1\ndef broken(:", 3, "SyntaxError"),
        ("def f():\n    return 1 / 0\n\nf()", 3, "ZeroDivisionError"),
        ("\n@task\ndef f(*args): ...", 3, "cannot be submitted"),
        ("@task(timeout='soon')\ndef f(): ...", 2, "is no duration"),
        ("\n\nimport sys; sys.exit('this is a script')", 4, "SystemExit"),
        ("\ntask(len)", 3, "is no function"),
    ],
)
def test_a_broken_module_is_reported_with_file_and_line_and_the_rest_loads(
    package: Package, text: str, line: int, complaint: str
) -> None:
    package.write("fine", "@task\ndef send(): ...")
    broken = package.write("broken", text)
    registry = package.load()
    (problem,) = registry.problems
    assert (problem.module, problem.file, problem.line) == ("shop.broken", str(broken), line)
    assert complaint in problem.message
    assert str(problem).startswith(f"{broken}:{line}: ")
    assert set(registry.definitions) == {"send"}


def test_a_broken_package_inside_is_reported_once_and_the_rest_loads(package: Package) -> None:
    package.write("fine", "@task\ndef send(): ...")
    broken = package.write("inner/__init__", "1 / 0")
    package.write("inner/deep", "@task\ndef dig(): ...")
    registry = package.load()
    assert [(problem.file, problem.line) for problem in registry.problems] == [(str(broken), 2)]
    assert set(registry.definitions) == {"send"}


def test_a_package_that_is_not_there_is_a_problem() -> None:
    registry = load(["no_such_package_anywhere"], local=False, strict=False)
    assert "no_such_package_anywhere" in registry.problems[0].message


def test_local_tasks_are_registered_in_local_mode_alone(package: Package) -> None:
    package.write("web", "@task(local_only=True)\ndef fetch(): ...\n@task\ndef echo(): ...")
    assert set(package.load(local=False).definitions) == {"echo"}
    assert set(package.load(local=True).definitions) == {"echo", "fetch"}


def test_the_shipped_tasks_load() -> None:
    for local in (False, True):
        assert set(load(["workers.tasks"], local=local).definitions) == {"echo", "sleep", "flaky"}


def test_tasks_that_reach_out_are_the_demos_and_stay_at_home() -> None:
    assert set(load(["local.demo_tasks"], local=True).definitions) == {"http_check", "vm_provision"}
    assert set(load(["local.demo_tasks"], local=False).definitions) == set()


# --- asking -------------------------------------------------------------------------------


def registry_of(*definitions: Definition) -> Registry:
    return Registry({definition.name: definition for definition in definitions})


def test_a_registry_knows_default_and_the_queues_of_its_tasks() -> None:
    def one() -> None: ...

    @task(queue="night")
    def two() -> None: ...

    assert registry_of(task(one), two).queues == ("default", "night")
    assert registry_of().queues == ("default",)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownTask) as caught:
        registry_of(order).get("ordr")
    assert caught.value.nearest == "order"


def test_a_name_like_no_other_has_no_nearest() -> None:
    with pytest.raises(UnknownTask) as caught:
        registry_of(order).get("x" * 100_000)
    assert caught.value.nearest is None
