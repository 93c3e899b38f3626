"""`bide check`: would the tasks in flight go on with the code that is here? A gate for deploys."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

import msgspec

from bide import registry
from bide.clock import Clock
from bide.connection import connect
from bide.errors import RegistryError, SettingsError, StoreError
from bide.keys import Keys
from bide.operate import stack
from bide.operate.ended import Ended
from bide.operate.entrance import unnamed
from bide.operate.finding import in_words
from bide.operate.flight import flights
from bide.operate.rehearsal import LIMIT_S, TOO_LONG, Mismatch, rehearse
from bide.printable import one_line, printable, printable_json
from bide.settings import Settings
from bide.store import Store

_HANGS: Final = 3
"""Tasks of one name that may hang; the others of that name are not waited for."""


def replays(store: Store, tasks: registry.Registry, limit_s: float = LIMIT_S) -> Iterator[Mismatch | None]:
    """Replay the journal of every task in flight: each one's mismatch, or None. Raises StoreUnavailable."""
    hangs: Counter[str] = Counter()
    for flight in flights(store):
        name = "" if flight.spec is None else flight.spec.name
        if hangs[name] >= _HANGS:
            yield Mismatch(str(flight.id), name, TOO_LONG, f"Not replayed: {_HANGS} others took too long.")
            continue
        mismatch = rehearse(flight, tasks, limit_s)
        if mismatch is not None and mismatch.code == TOO_LONG:
            hangs[name] += 1
        yield mismatch


class Check:
    """The command."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        parser.description = (
            "Replay the journals of the tasks in flight against the code in this folder. It runs no step "
            "and sends nothing. Run it before a deploy: tasks that it names would fail with the new code."
        )
        parser.epilog = (
            "It reads BIDE_REDIS_URL, BIDE_PREFIX, BIDE_TASKS and BIDE_LOCAL, as workers do; those of a "
            "`make up` in this folder are known."
        )
        stack.add_url(parser)

    def run(self, options: argparse.Namespace) -> Ended:
        """Print each mismatch, then how many there are; with --json one document."""
        output = sys.stdout
        with contextlib.redirect_stdout(sys.stderr):  # what the tasks' code prints is not the output
            try:
                told = stack.told(os.environ, options.url, Path.cwd())
                settings = Settings.from_environ(told.environ)
                if not settings.redis_url:
                    print(f"bide: {in_words(unnamed(told))}", file=sys.stderr)
                    return Ended.MISUSED
                told.extend_path()
                tasks = registry.load(settings.tasks, local=settings.local)
            except (SettingsError, RegistryError) as error:
                print(printable(f"bide: {error}"), file=sys.stderr)
                return Ended.MISUSED
            store = Store(connect(settings.redis_url), Keys(settings.prefix), Clock())
            checked = 0
            found: list[Mismatch] = []
            try:
                for mismatch in replays(store, tasks):
                    checked += 1
                    if mismatch is not None:
                        found.append(mismatch)
                        if not options.json:
                            print(_line(mismatch), file=output, flush=True)
            except StoreError as error:
                print(printable(f"bide: {error}"), file=sys.stderr)
                return Ended.UNREACHABLE
            finally:
                store.client.close()
        print(_document(checked, found) if options.json else _summary(checked, len(found)), file=output)
        return Ended.MISMATCHED if found else Ended.DONE


def _line(mismatch: Mismatch) -> str:
    return one_line(f"{mismatch.id}  {mismatch.name}  {mismatch.code}: {mismatch.message}")


def _summary(checked: int, mismatches: int) -> str:
    tasks = f"{checked:,} task{'' if checked == 1 else 's'} in flight with a journal"
    return f"{tasks}: {f'{mismatches:,} would fail with this code' if mismatches else 'all fit this code'}"


def _document(checked: int, found: list[Mismatch]) -> str:
    document = {"checked": checked, "mismatches": [asdict(each) for each in found]}
    return printable_json(msgspec.json.encode(document).decode())


command = Check()
