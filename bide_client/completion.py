"""Completion scripts for shells, made from the parser: nothing in them is listed by hand. Pure."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from bide_client import operators
from bide_client.words import Parser, suggestions


@dataclass(frozen=True)
class Option:
    """An option by all its `names`; `takes` a value, such as one of `choices`.

    One whose value may be left out, such as `--wait`, takes none: an option may follow at once.
    """

    names: tuple[str, ...]
    help: str
    takes: bool
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where one is on the command line: after the words of `path`, such as "bide queue".

    `words` may follow, each with its help; `options` too.
    """

    path: str
    words: Mapping[str, str]
    options: tuple[Option, ...]


def places(parser: argparse.ArgumentParser, path: str = "bide") -> Iterator[Place]:
    """The parser's places, the outermost first; an operator's command that lacks a package has none."""
    if isinstance(parser, Parser):
        try:
            parser.load()
        except operators.NotInstalled:
            return
    words: dict[str, str] = {}
    options, below = [], {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            help = {choice.dest: choice.help or "" for choice in action._choices_actions}
            words |= {name: help.get(name, "") for name in action.choices}
            below = dict(action.choices)
        elif action.option_strings:
            options.append(_option(action))
        else:
            words |= dict.fromkeys(suggestions(action), "")
    yield Place(path, words, tuple(options))
    for name, parser_below in below.items():
        yield from places(parser_below, f"{path} {name}")


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script of a shell: a key of SCRIPTS."""
    return SCRIPTS[shell](tuple(places(parser)))


def _option(action: argparse.Action) -> Option:
    choices = suggestions(action)
    plain = re.sub(r"\s+", " ", action.help or "").replace("%%", "%")
    takes = action.nargs not in (0, "?")
    return Option(
        tuple(action.option_strings), plain.replace("%(default)s", str(action.default)), takes, choices
    )


def _taking(found: tuple[Place, ...]) -> dict[str, list[str]]:
    """For each place, the options that take the next word as their value."""
    return {
        place.path: [name for option in place.options if option.takes for name in option.names]
        for place in found
    }


def _paths(found: tuple[Place, ...]) -> list[str]:
    return [place.path for place in found if place.path != "bide"]


def _alternatives(texts: list[str]) -> str:
    return "|".join(f'"{text}"' for text in texts)


_PLACE: Final = """\
        if [[ -n $takes ]]; then
            takes=
            continue
        fi
        case "$place $word" in
            @PATHS@) place="$place $word" ;;
            @TAKING@) takes=$word ;;
        esac
    done
    if [[ -n $takes ]]; then
        case "$place $takes" in
@CHOICES@"""
"""What bash and zsh do alike: go by a word to the place after it; begin to complete an option's value."""

_BASH: Final = """\
# bash completion of bide. To have it in every shell:
#     bide completion bash > ~/.local/share/bash-completion/completions/bide
# or only here:
#     source <(bide completion bash)

_bide() {
    local cur=${COMP_WORDS[COMP_CWORD]} place=bide word index takes= found= options=
    COMPREPLY=()
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
@PLACE@
        esac
        return
    fi
    case "$place" in
@WORDS@
    esac
    [[ $cur == -* ]] && found=$options
    COMPREPLY=($(compgen -W "$found" -- "$cur"))
}

complete -o default -F _bide bide
"""

_ZSH: Final = """\
#compdef bide
# zsh completion of bide. To have it in every shell, in a folder of $fpath:
#     bide completion zsh > ~/.zfunc/_bide
# or only here, after compinit:
#     source <(bide completion zsh)

_bide() {
    local place=bide word index takes=
    local -a found
    for ((index = 2; index < CURRENT; index++)); do
        word=${words[index]}
@PLACE@
            *) _files ;;
        esac
        return
    fi
    case "$place" in
@WORDS@
    esac
    if [[ ${words[CURRENT]} == -* ]]; then
        found=(${(M)found:#-*})
    else
        found=(${found:#-*})
    fi
    if (( $#found )); then
        _describe bide found
    else
        _files
    fi
}

if [[ ${funcstack[1]} == _bide ]]; then
    _bide "$@"
else
    compdef _bide bide
fi
"""

_FISH: Final = """\
# fish completion of bide. To have it in every shell:
#     bide completion fish > ~/.config/fish/completions/bide.fish
# or only here:
#     bide completion fish | source

function __bide_place
    set -l place bide
    set -l takes
    for word in (commandline -opc)[2..-1]
        if test -n "$takes"
            set takes
            continue
        end
        switch "$place $word"
            case @PATHS@
                set place "$place $word"
            case @TAKING@
                set takes $word
        end
    end
    echo $place
end

function __bide_at
    test (__bide_place) = "$argv"
end

@LINES@
"""


def _bash(found: tuple[Place, ...]) -> str:
    choices, words = [], []
    for place in found:
        names = [name for option in place.options for name in option.names]
        words.append(
            f'        "{place.path}") found="{" ".join(place.words)}" options="{" ".join(names)}" ;;'
        )
        for option in place.options:
            if option.choices:
                keys = _alternatives([f"{place.path} {name}" for name in option.names])
                values = " ".join(option.choices)
                choices.append(f'            {keys}) COMPREPLY=($(compgen -W "{values}" -- "$cur")) ;;')
    return _filled(_BASH, found, choices, words)


def _zsh(found: tuple[Place, ...]) -> str:
    choices, words = [], []
    for place in found:
        described = [_described(word, help) for word, help in place.words.items()]
        described += [_described(name, option.help) for option in place.options for name in option.names]
        words.append(f'        "{place.path}") found=({" ".join(described)}) ;;')
        for option in place.options:
            if option.choices:
                keys = _alternatives([f"{place.path} {name}" for name in option.names])
                choices.append(f"            {keys}) compadd -- {' '.join(option.choices)} ;;")
    return _filled(_ZSH, found, choices, words)


def _filled(template: str, found: tuple[Place, ...], choices: list[str], words: list[str]) -> str:
    taking = [f"{path} {name}" for path, names in _taking(found).items() for name in names]
    parts = {
        "@PLACE@": _PLACE,
        "@PATHS@": _alternatives(_paths(found)),
        "@TAKING@": _alternatives(taking),
        "@CHOICES@\n": "".join(f"{line}\n" for line in choices),
        "@WORDS@": "\n".join(words),
    }
    for name, part in parts.items():
        template = template.replace(name, part)
    return template


def _fish(found: tuple[Place, ...]) -> str:
    lines = ["complete -c bide -f"]
    for place in found:
        at = f"complete -c bide -n '__bide_at {place.path}'"
        lines += [f"{at} -a {word} -d {_fish_quoted(help)}" for word, help in place.words.items()]
        for option in place.options:
            names = "".join(f" -l {n[2:]}" if n.startswith("--") else f" -s {n[1:]}" for n in option.names)
            value = (
                f" -x -a '{' '.join(option.choices)}'" if option.choices else " -r" if option.takes else ""
            )
            lines.append(f"{at}{names}{value} -d {_fish_quoted(option.help)}")
    taking = [f"{path} {name}" for path, names in _taking(found).items() for name in names]
    script = _FISH.replace("@PATHS@", " ".join(f"'{path}'" for path in _paths(found)))
    script = script.replace("@TAKING@", " ".join(f"'{option}'" for option in taking))
    return script.replace("@LINES@", "\n".join(lines))


def _fish_quoted(text: str) -> str:
    return _quoted(text, "\\'")


def _described(word: str, help: str) -> str:
    """A word with its help, as zsh's _describe reads them."""
    return _quoted(f"{word}:{help}" if help else word)


def _quoted(text: str, quote: str = "'\\''") -> str:
    """A word of a shell in single quotes, without backslashes; `quote` is how one quote within is written."""
    return "'" + text.replace("\\", "").replace("'", quote) + "'"


SCRIPTS: Final[Mapping[str, Callable[[tuple[Place, ...]], str]]] = MappingProxyType(
    {"bash": _bash, "zsh": _zsh, "fish": _fish}
)
"""What makes the script of each shell."""
