"""`bide completion`: scripts with which shells complete the command line."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Final

from bide_client import completion
from bide_client.words import Commands, Parser

EXAMPLES: Final = """\
examples:
  source <(bide completion bash)              in this shell
  bide completion bash > ~/.local/share/bash-completion/completions/bide
  bide completion zsh > ~/.zfunc/_bide        in a folder of $fpath
  bide completion fish > ~/.config/fish/completions/bide.fish
"""


def add(found: Commands[Parser], root: Parser) -> None:
    """The words of it; the script is made from the whole parser, `root`. It asks no server."""
    parser = found.add_parser(
        "completion",
        help="print the script with which a shell completes the command line",
        description=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("shell", choices=tuple(completion.SCRIPTS), metavar="SHELL", help="bash, zsh or fish")
    parser.set_defaults(operate=partial(_print, root))


def _print(root: Parser, options: argparse.Namespace) -> str:
    print(completion.script(root, options.shell), end="")
    return "done"
