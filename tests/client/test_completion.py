"""`bide completion`: the scripts know what the parser knows, and shells complete by them."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bide_client import completion, exit_codes, operators, parser
from bide_client.completion import SCRIPTS
from bide_client.words import Parser

from .ran import Bide
from .stub_server import StubServer

SHELLS = sorted(SCRIPTS)


def every_parser(found: argparse.ArgumentParser, path: str = "bide") -> dict[str, argparse.ArgumentParser]:
    """Every parser by its words, operators' commands loaded."""
    if isinstance(found, Parser):
        found.load()
    parsers = {path: found}
    for action in found._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                parsers |= every_parser(below, f"{path} {name}")
    return parsers


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The script of each shell, in a file."""
    folder = tmp_path_factory.mktemp("completion")
    for shell in SHELLS:
        (folder / shell).write_text(completion.script(parser.build(), shell), "utf-8")
    return {shell: folder / shell for shell in SHELLS}


def in_bash(script: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    line = " ".join(f"'{word}'" for word in words)
    program = (
        f"source '{script}'; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _bide\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-uc", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def in_zsh(script: Path, *words: str) -> list[str]:
    """What zsh would describe for the last word; its completion system is not needed for that."""
    line = " ".join(f"'{word}'" for word in words)
    program = (
        "compdef() { : }; compadd() { shift; print -l -- $@ }; _files() { : }\n"
        "_describe() { print -l -- ${${(P)2}%%:*} }\n"
        f"source '{script}'; words=({line}); CURRENT={len(words)}; _bide"
    )
    done = subprocess.run(["zsh", "-fc", program], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


def in_fish(script: Path, *words: str) -> list[str]:
    """What fish offers for the last word."""
    program = f"source '{script}'; complete -C '{' '.join(words)}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


OFFERS = {"bash": in_bash, "zsh": in_zsh, "fish": in_fish}
HERE = [shell for shell in SHELLS if shell == "bash" or shutil.which(shell)]
"""bash is everywhere that `make` is; the others are tried where they are, and read everywhere."""


def test_every_place_of_the_parser_is_known() -> None:
    parsers = every_parser(parser.build())
    known = {place.path: place for place in completion.places(parser.build())}
    assert known.keys() == parsers.keys()
    assert {"bide dead redrive", "bide completion", "bide cost", "bide scaling simulate"} <= known.keys()
    for path, found in parsers.items():
        options = {name for option in known[path].options for name in option.names}
        assert options == set(found._option_string_actions), path


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_has_every_word_and_option_and_says_how_to_install_it(
    scripts: dict[str, Path], shell: str
) -> None:
    text = scripts[shell].read_text("utf-8")
    assert f"bide completion {shell}" in text
    assert not re.search(r"@[A-Z]+@", text), "a place of the template is not filled"
    for place in completion.places(parser.build()):
        assert place.path in text
        for word in place.words:
            assert word in text
        for option in place.options:
            for name in option.names:
                fish = f" -l {name[2:]} " if name.startswith("--") else f" -s {name[1:]} "
                assert (fish if shell == "fish" else name) in text


@pytest.mark.parametrize("shell", HERE)
def test_a_shell_completes_commands_options_and_values(scripts: dict[str, Path], shell: str) -> None:
    def offered(*words: str) -> list[str]:
        return OFFERS[shell](scripts[shell], *words)

    commands = {path.split()[1] for path in every_parser(parser.build()) if " " in path}
    assert set(offered("bide", "")) == commands
    assert set(offered("bide", "queue", "")) == {"list", "show", "pause", "resume"}
    assert {"--dry-run", "--yes", "--rate"} <= set(offered("bide", "dead", "redrive", "--"))
    assert set(offered("bide", "completion", "")) == set(SHELLS)
    assert {"running", "failed"} <= set(offered("bide", "list", "--state", ""))
    assert set(offered("bide", "--url", "queue", "worker", "")) == {"list"}, (
        "the value of an option is no command"
    )
    assert "pause" not in offered("bide", "show", "queue", "")


@pytest.mark.parametrize("shell", HERE)
def test_a_shell_finds_no_fault_with_its_script(scripts: dict[str, Path], shell: str) -> None:
    subprocess.run([shell, "-n", str(scripts[shell])], check=True, timeout=60)


def test_bash_narrows_by_what_is_typed(scripts: dict[str, Path]) -> None:
    assert in_bash(scripts["bash"], "bide", "li") == ["list"]
    assert in_bash(scripts["bash"], "bide", "list", "--li") == ["--limit"]
    assert in_bash(scripts["bash"], "bide", "submit", "echo", "--wait", "--ta") == ["--tag"]
    assert in_bash(scripts["bash"], "bide", "list", "--queue", "") == []


def test_the_command_prints_the_script_and_asks_no_server(served: StubServer, bide: Bide) -> None:
    for shell in SHELLS:
        ran = bide("completion", shell)
        assert (ran.code, ran.err) == (exit_codes.OK, "")
        assert ran.out == completion.script(parser.build(), shell)
    assert served.asked == []


@pytest.mark.parametrize("words", [["completion"], ["completion", "tcsh"]], ids=" ".join)
def test_another_shell_ends_with_2(bide: Bide, words: list[str]) -> None:
    ran = bide(*words)
    assert (ran.code, ran.out) == (exit_codes.USAGE, "")


def test_without_the_servers_packages_the_client_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator's command that cannot be loaded keeps its name, and has no options."""

    def missing(entry: object) -> None:
        raise operators.NotInstalled("no")

    monkeypatch.setattr(operators, "load", missing)
    found = {place.path: place for place in completion.places(parser.build())}
    assert "check" in found["bide"].words
    assert "bide check" not in found
    assert "bide dead redrive" in found
