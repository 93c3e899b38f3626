"""`bide doctor`: is the server well? Looks at everything, changes nothing, and names remedies."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from bide import registry
from bide.address import Address
from bide.calls import read_time
from bide.clock import Clock
from bide.connection import Client
from bide.errors import StoreError
from bide.gate import Gatekeeper
from bide.keys import Keys
from bide.operate import server_findings, stack, store_findings
from bide.operate.ended import Ended
from bide.operate.entrance import TOPIC, barred, unnamed
from bide.operate.finding import Finding, Level, lines, ok, summary
from bide.operate.server_findings import Copy, Queue
from bide.operate.stack import Told
from bide.printable import printable_json
from bide.reads import Reads
from bide.settings import Settings
from bide.store import Store
from bide.store_info import StoreInfo

_MOVED: Final = "MOVED"


class Doctor:
    """The command."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        parser.description = (
            "Look at the settings, the store, the tasks, the queues and the workers, and print what is well, "
            "what may come to harm, and what is wrong, each fault with its remedy. It changes nothing. Run "
            "it in the folder of the code of the server and its workers, with the variables that they "
            "have; those of a `make up` in that folder are known."
        )
        stack.add_url(parser)
        parser.epilog = "The exit code is 0 unless something fails; docs/operating.md explains the findings."

    def run(self, options: argparse.Namespace) -> Ended:
        """Print every finding, then how many there are of each level; with --json one document."""
        found: list[Finding] = []
        output = sys.stdout
        with contextlib.redirect_stdout(sys.stderr):  # what the tasks' code prints is not the output
            found.extend(examine(stack.told(os.environ, options.url, Path.cwd())))
        room = shutil.get_terminal_size().columns if output.isatty() else None
        text = _document(found) if options.json else "\n".join([*lines(found, room), summary(found)])
        print(text, file=output)
        return Ended.FAULTY if _is_faulty(found) else Ended.DONE


def examine(told: Told, *, wall: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Look at everything that these variables lead to. wall: this machine's Unix time in seconds."""
    settings, problems = Settings.read(told.environ)
    yield from server_findings.settings(problems, told.environ, told.port)
    if Settings.name_a_store(told.environ):  # else these are hardly the server's variables
        yield server_findings.api_keys(settings)
    told.extend_path()
    tasks = registry.load(settings.tasks, local=settings.local, strict=False)
    yield from server_findings.tasks(tasks, settings.tasks)
    if not settings.redis_url:
        if not Settings.name_a_store(told.environ):
            yield unnamed(told)
        return
    address = Address.of(settings.redis_url)
    client = Client(address)
    try:
        info = StoreInfo.of(client.execute_command("INFO"))
        yield ok(TOPIC, f"{address.place} answers{', by TLS' if address.tls else ''}")
        yield from _of_the_store(client, info, wall)
        if not info.is_old:
            store = Store(client, Keys(settings.prefix), Clock(), limits=settings.limits)
            served = {*tasks.queues, *settings.queues}
            yield from _of_the_server(store, info, served)
    except StoreError as error:
        yield barred(address, error)
    finally:
        client.close()


def _of_the_store(client: Client, info: StoreInfo, wall: Callable[[], float]) -> Iterator[Finding]:
    yield store_findings.version(info)
    role = store_findings.role(info)
    if role is not None:
        yield role
    yield store_findings.durability(info)
    yield store_findings.eviction(info)
    yield store_findings.memory(info)
    sent = wall()
    seconds, microseconds = read_time(client.execute_command("TIME"))
    doubt_s = (wall() - sent) / 2
    yield store_findings.clock(seconds + microseconds / 1e6 - sent - doubt_s, doubt_s)


def _of_the_server(store: Store, info: StoreInfo, served: set[str]) -> Iterator[Finding]:
    moved = _moved(store, served) if info.number("cluster_enabled") else {}
    yield store_findings.cluster(info, moved)
    if moved:
        return
    reads = Reads(store)
    queues = {slot: _queue(store, reads, slot) for slot in store.slots()}
    yield server_findings.gate(Gatekeeper(store).read(), queues)
    yield server_findings.queues(queues, served)
    yield server_findings.workers(queues, {queue: store.limits(queue) for queue in served})


def _moved(store: Store, queues: set[str]) -> dict[str, str]:
    """What other nodes of a cluster have: the server's own keys (""), and queues, with the store's answer."""
    keys = {"": store.keys.server(("state",))[0]}
    keys |= {queue: store.keys.slot(queue, ("meta",))[0] for queue in sorted(queues)}
    moved = {}
    for queue, key in keys.items():
        try:
            store.command("EXISTS", key)
        except StoreError as error:
            if _MOVED not in str(error):
                raise
            moved[queue] = str(error)
    return moved


def _queue(store: Store, reads: Reads, slot: str) -> Queue:
    accepting, epoch = store.command("HMGET", store.keys.slot(slot, ("meta",))[0], "accepting", "epoch")
    copy = Copy(None if accepting is None else accepting == b"1", int(epoch or 0))
    depth = reads.depth(slot)
    return Queue(copy, depth.left, reads.fleet(slot).seen, depth.paused)


def _is_faulty(found: list[Finding]) -> bool:
    return any(finding.level is Level.FAIL for finding in found)


def _document(found: list[Finding]) -> str:
    document = {"ok": not _is_faulty(found), "findings": found}
    return printable_json(msgspec.json.encode(document).decode())


command = Doctor()
