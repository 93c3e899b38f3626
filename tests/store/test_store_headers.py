"""Each Lua file keeps the contract that its header declares."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bide import errors, scripts
from bide.keys import SERVER_KEYS, SLOT_KEYS
from bide.state import TRANSITIONS

FILES = {path.stem: path.read_text(encoding="utf-8") for path in scripts.FOLDER.glob("*.lua")}
SCRIPTS = sorted(name for name in FILES if not name.startswith("_"))
INCLUDES = sorted(name for name in FILES if name.startswith("_"))

PROTOCOL_WORDS = {"SUPERSEDED"}
"""Refusals that never leave the core, and so have no class: `Store.exchange` turns them into ScriptError."""

FORBIDDEN = (
    "TIME", "KEYS", "SCAN", "WAIT", "FUNCTION", "FCALL", "OBJECT", "MEMORY", "CONFIG", "CLIENT", "DEBUG",
    "FLUSHALL", "FLUSHDB", "SELECT", "RANDOMKEY", "EXPIRE", "PEXPIRE", "EXPIREAT",
)  # fmt: skip
"""Not on ElastiCache Serverless, not in a script, not the same when run twice, or a TTL on a live record."""


def _header(name: str) -> str:
    return scripts.read_header(FILES[name])


def _body(name: str) -> str:
    """The code, without its comments."""
    return re.sub(r"--.*", "", FILES[name])


def _field(name: str, field: str) -> str:
    """The text of one field of the header, continuation lines joined; empty when there is none."""
    match = re.search(rf"^-- {field}: (.+(?:\n--   \S.*)*)", _header(name), re.MULTILINE)
    return re.sub(r"\n--\s+", " ", match[1]) if match else ""


def _transitions(name: str) -> set[tuple[str, str]]:
    text = _field(name, "Transition")
    if text in ("", "none"):
        return set()
    pairs = re.findall(r"(\w+) -> (\w+)(?:, |$)", text)
    assert ", ".join(f"{old} -> {new}" for old, new in pairs) == text, f"{name} spells its transitions oddly"
    return set(pairs)


def _included(name: str) -> list[str]:
    return re.findall(r"^--- include (\w+)$", FILES[name], re.MULTILINE)


def _error_codes() -> set[str]:
    def tree(root: type[errors.BideError]) -> Iterator[type[errors.BideError]]:
        yield root
        for child in root.__subclasses__():
            yield from tree(child)

    return {error.code for error in tree(errors.BideError)}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_header_begins_with_the_purpose(name: str) -> None:
    assert re.match(r"-- (?!Transition:)[A-Z].{20,}\n", _header(name))


@pytest.mark.parametrize("field", ["Transition", "Returns", "Errors", "When full", "Fence", "Cost"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_header_has_every_field_once(name: str, field: str) -> None:
    assert len(re.findall(rf"^-- {field}: \S", _header(name), re.MULTILINE)) == 1


@pytest.mark.parametrize("what", ["KEYS", "ARGV"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_keys_and_arguments_are_declared_in_order_exactly_if_they_are_used(name: str, what: str) -> None:
    declared = [int(n) for n in re.findall(rf"^-- {what}\[(\d+)\] \w+: \S", _header(name), re.MULTILINE)]
    used = {int(n) for n in re.findall(rf"\b{what}\[(\d+)\]", _body(name))}
    assert declared == sorted(used)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_list_of_arguments_is_declared_last_and_read_from_where_it_begins(name: str) -> None:
    declared = re.findall(r"^-- ARGV\[(\d+)(\.\.\.)?\]", _header(name), re.MULTILINE)
    assert [int(number) for number, _ in declared] == list(range(1, len(declared) + 1))
    lists = [number for number, dots in declared if dots]
    assert lists in ([], [declared[-1][0]]) if declared else lists == []
    assert bool(lists) == ("#ARGV" in _body(name))
    for number in lists:
        assert re.search(rf"= {number}\b", _body(name)), f"{name} never begins at {number}"


@pytest.mark.parametrize("name", SCRIPTS)
def test_keys_are_called_as_in_the_schema(name: str) -> None:
    keys = set(scripts.load(name).keys)
    assert keys <= set(SLOT_KEYS) or keys <= set(SERVER_KEYS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_key_is_called_in_the_body_as_in_the_header(name: str) -> None:
    for names, values in re.findall(r"^local ([\w, ]+) = (KEYS\[\d+\].*)$", _body(name), re.MULTILINE):
        for local, value in zip(names.split(", "), values.split(", "), strict=True):
            if key := re.fullmatch(r"KEYS\[(\d+)\]", value):
                assert local == scripts.load(name).keys[int(key[1]) - 1]


@pytest.mark.parametrize("name", SCRIPTS)
def test_refusals_are_declared_exactly_if_they_are_returned(name: str) -> None:
    answers = set(re.findall(r"return \{ '([A-Z_]+)'", _body(name)))
    if "return { answer }" in _body(name):  # an include's, but for those that the script sees to itself
        spelled = set().union(
            *(re.findall(r"(?:return|and|or) '([A-Z_]{4,})'", _body(each)) for each in _included(name))
        )
        answers |= spelled - set(re.findall(r"'([A-Z_]{4,})'", _body(name)))
    returned = answers - set(re.findall(r"'([A-Z_]+)'", _field(name, "Returns")))
    assert set(re.findall(r"\b[A-Z_]{4,}\b", _field(name, "Errors"))) == returned


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_refusal_has_an_error_class_or_is_a_word_of_the_protocol(name: str) -> None:
    assert set(re.findall(r"\b[A-Z_]{4,}\b", _field(name, "Errors"))) <= _error_codes() | PROTOCOL_WORDS


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_script_uses_a_command_that_some_store_lacks_or_that_differs_when_run_twice(name: str) -> None:
    commands = set(re.findall(r"redis\.p?call\(\s*'(\w+)'", _body(name)))
    assert not commands & set(FORBIDDEN)
    assert not re.search(r"\b(math\.random|redis\.pcall|loadstring|os\.time)\b", _body(name))


@pytest.mark.parametrize("name", sorted(FILES))
def test_each_command_is_spelled_out(name: str) -> None:
    """Else the test above would not see it. `flush_one` alone is handed its command, by literals."""
    computed = re.findall(r"redis\.call\((?!\s*')(\w+)", _body(name))
    assert computed == (["command"] if name == "_writes" else [])


@pytest.mark.parametrize("name", sorted(FILES))
def test_includes_exist_and_only_includes_are_included(name: str) -> None:
    assert set(_included(name)) <= set(INCLUDES)


@pytest.mark.parametrize("name", INCLUDES)
def test_every_include_is_included_somewhere(name: str) -> None:
    assert any(name in _included(script) for script in SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_an_include_uses_stands_before_it(name: str) -> None:
    for include in _included(name):
        before = FILES[name].split(f"--- include {include}\n")[0]
        for used in filter(None, re.split(r"[,.]\s*", _field(include, "Uses"))):
            given = f"--- include {used}\n" if used.startswith("_") else rf"\b{used}\b.* = .*KEYS\["
            assert re.search(given, before), f"{name}: {include} needs {used}"


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_expanded_script_holds_no_include_line(name: str) -> None:
    assert "--- include" not in scripts.load(name).source


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_declares_the_transitions_of_its_includes(name: str) -> None:
    included = set().union(*(_transitions(include) for include in _included(name)))
    assert included <= _transitions(name)


def test_the_scripts_make_exactly_the_transitions_of_the_table() -> None:
    made = set().union(*(_transitions(name) for name in FILES))
    table = {(str(old), str(new)) for old, news in TRANSITIONS.items() for new in news}
    assert {pair for pair in made if pair[0] != "none"} == table
    assert {new for old, new in made if old == "none"} == {"ready", "scheduled", "waiting"}


def test_every_key_of_the_schema_is_used_by_a_script() -> None:
    used = {key for name in SCRIPTS for key in scripts.load(name).keys}
    assert used == {*SLOT_KEYS, *SERVER_KEYS}
