"""Who may spell what: keys of the store, variables of the environment, words, paths."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from source_tree import in_folder, product, strings, texts, tree_of

from bide.settings import Settings

LUA = [path for path in texts() if path.suffix == ".lua"]
CODE = [path for path in texts() if path.suffix in (".py", ".lua")]
OF_THE_SERVER = {setting.metadata["variable"] for setting in fields(Settings)}
OF_THE_CLIENT = {"BIDE_URL", "BIDE_KEY"}

MAY_READ = {
    Path("bide_client/client.py"): OF_THE_CLIENT,
    # Whether the command that it prints has to name the server.
    Path("local/banner.py"): {"BIDE_URL"},
    # The user's own key is taken where one is needed.
    Path("local/api_key.py"): {"BIDE_KEY"},
}
MAY_SET = {
    # What quick mode's children are told.
    Path("local/stack.py"): {"BIDE_LOCAL", "BIDE_REDIS_URL", "BIDE_GRACE_SECONDS"},
    # What the functions of MODE=lambda are told.
    Path("local/lambda_variables.py"): {
        "BIDE_REDIS_URL",
        "BIDE_OPERATOR_KEY_HASHES",
        "BIDE_DRAIN_FUNCTION",
        "BIDE_WAKE_QUEUE",
        "BIDE_WAKE_STREAM",
    },
    # The demo runs its own tasks, without keys, whatever the user's are.
    Path("local/demo.py"): {"BIDE_TASKS", "BIDE_API_KEY_HASHES", "BIDE_OPERATOR_KEY_HASHES"},
}


# --- keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", product().values(), ids=str)
def test_only_keys_py_spells_keys(path: Path) -> None:
    spelled = [node.lineno for node in strings(path) if ":{" in node.value or "{q." in node.value]
    if path == Path("bide/keys.py"):
        assert spelled, "this test no longer recognises a key"
    else:
        assert spelled == []


def code_of(path: Path) -> str:
    return "\n".join(line.partition("--")[0] for line in texts()[path].splitlines())


@pytest.mark.parametrize("path", LUA, ids=str)
def test_a_script_names_keys_through_its_declared_ones_only(path: Path) -> None:
    """The key of each call is a name or KEYS[i], never a string or a concatenation."""
    for key in re.findall(r"(?:redis\.p?call|flush_one)\(\s*[^,()]+,\s*([^,)]+)", code_of(path)):
        assert re.fullmatch(r"[a-z_]+|KEYS\[\d+\]", key.strip()), f"{key} is no declared key"


@pytest.mark.parametrize("path", LUA, ids=str)
def test_no_script_builds_a_key_of_strings(path: Path) -> None:
    spelled = re.findall(r"'([^'\n]*)'", code_of(path))
    assert [text for text in spelled if "{" in text or ":" in text] == []


# --- the environment --------------------------------------------------------------------------


def bide_variables(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of each string that is the name of a variable, as opposed to a text about it."""
    for node in strings(path):
        if re.fullmatch(r"BIDE_[A-Z_]+", node.value):
            yield node.lineno, node.value


@pytest.mark.parametrize("path", product().values(), ids=str)
def test_a_variable_is_named_by_the_settings_or_the_client(path: Path) -> None:
    """Others take settings from the class; quick mode and its demo set some for their children."""
    names = {name for _, name in bide_variables(path)}
    if path == Path("bide/settings.py"):
        assert names == OF_THE_SERVER
    else:
        assert names == MAY_READ.get(path, set()) | MAY_SET.get(path, set())


@pytest.mark.parametrize("path", MAY_SET, ids=str)
def test_what_is_set_for_children_is_not_read(path: Path) -> None:
    dicts = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Dict)]
    set_here = {
        (key.lineno, key.value) for node in dicts for key in node.keys if isinstance(key, ast.Constant)
    }
    assert set(bide_variables(path)) <= set_here


@pytest.mark.parametrize("path", product().values(), ids=str)
def test_the_environment_is_passed_on_whole(path: Path) -> None:
    """`os.environ` may be an argument, or copied into another; only the client looks things up in it."""
    tree = tree_of(path)
    assert not any(isinstance(node, ast.Attribute) and node.attr == "getenv" for node in ast.walk(tree))
    passed = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for argument in (*node.args, *(keyword.value for keyword in node.keywords))
    }
    passed |= {
        id(value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if key is None
    }
    looked_into = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "environ" and id(node) not in passed
    ]
    if path != Path("bide_client/client.py"):
        assert looked_into == []


@pytest.mark.parametrize("path", [path for path in texts() if not in_folder(path, "tests")], ids=str)
def test_every_variable_that_is_mentioned_exists(path: Path) -> None:
    assert set(re.findall(r"\bBIDE_[A-Z]+(?:_[A-Z]+)*\b", texts()[path])) <= OF_THE_SERVER | OF_THE_CLIENT


# --- names, words and paths -------------------------------------------------------------------


def test_no_module_is_a_drawer_for_everything() -> None:
    names = {"util", "utils", "common", "helper", "helpers", "misc", "shared", "base"}
    assert [path for path in CODE if path.stem.strip("_") in names] == []


LONGEST = 450


@pytest.mark.parametrize("path", [path for path in CODE if not in_folder(path, "tests")], ids=str)
def test_a_module_is_not_two_modules(path: Path) -> None:
    assert len(texts()[path].splitlines()) <= LONGEST


@pytest.mark.parametrize("path", product().values(), ids=str)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree_of(path)) or not texts()[path].strip()


ELSEWHERE = re.compile(r"visibility[ _-]timeout|\bdlqs?\b", re.IGNORECASE)
"""Other systems' words for a lease's length and for tasks that failed for good."""

MACHINE_PATH = re.compile(r"(?<![\w.])/(?:tmp|root|home|work|Users)/")
"""Paths of one machine. A test takes tmp_path, a program tempfile; so none is spelled, not even in a test."""

HERE = Path("tests/structure") / Path(__file__).name


def test_words_of_other_systems_stand_in_the_glossary_only() -> None:
    users = {path for path, text in texts().items() if ELSEWHERE.search(text)}
    assert users - {HERE} == {Path("docs/glossary.md")}


def test_no_path_of_a_machine_is_spelled() -> None:
    found = [
        f"{path}:{number}"
        for path, text in texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []


def test_nothing_is_left_to_do_in_the_code() -> None:
    left = re.compile(r"#\s*(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
    assert [path for path, text in texts().items() if path.suffix == ".py" and left.search(text)] == []


@pytest.mark.parametrize("path", [path for path in CODE if in_folder(path, "tests")], ids=str)
def test_no_two_test_modules_share_a_name(path: Path) -> None:
    if path.name not in ("__init__.py", "conftest.py"):
        assert [other for other in CODE if in_folder(other, "tests") and other.name == path.name] == [path]
