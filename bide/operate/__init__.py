"""Operator commands: what needs the core, and is run from a shell.

They join the `bide` command by the entry point group `bide.commands`; each entry is an
object with `add_options(parser)` and `run(options)`, which returns an Ended.
"""
