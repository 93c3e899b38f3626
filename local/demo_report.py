"""What the demo prints: its progress, and what came of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any, Final

from bide.printable import one_line
from bide_client.status import Stats
from local import demo_pages, demo_vms
from local.demo_pages import Outcome
from local.demo_tasks.vms import vm_addresses
from local.demo_vms import Ending, Ledger

_SHOWN: Final = 10
"""How many of the wrong results are printed."""


class Progress:
    """A bar on a terminal; elsewhere a line now and then."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._bar = sys.stdout.isatty()

    def step(self, work: asyncio.Future[Any]) -> None:
        """Count what is done, not what was given up."""
        if work.cancelled():
            return
        self._done += 1
        if self._bar:
            filled = 40 * self._done // self._total
            end = "\n" if self._done == self._total else ""
            print(f"\r[{'#' * filled:.<40}] {self._done}/{self._total}", end=end, flush=True)
        elif self._done % 100 == 0 or self._done == self._total:
            print(f"{self._done} of {self._total} results", flush=True)


def pages_table(outcomes: Sequence[Outcome], seconds: float) -> str:
    """What came of the checks, which took so many seconds in all."""
    submits = sorted(outcome.submit for outcome in outcomes)
    results = sorted(outcome.to_result for outcome in outcomes)
    wrong = [outcome.wrong for outcome in outcomes if outcome.wrong]
    kinds = ", ".join(f"{count} {kind}" for kind, count in demo_pages.COUNTS.items())
    return _table(
        "pages",
        [
            ("kinds", kinds),
            ("right results", f"{len(outcomes) - len(wrong)} of {len(outcomes)}"),
            ("throughput", f"{len(outcomes) / seconds:.0f} tasks/s over {seconds:.1f} s"),
            ("submit", f"p50 {_ms(submits, 0.5)}   p99 {_ms(submits, 0.99)}"),
            ("time to result", f"p50 {_ms(results, 0.5)}   p99 {_ms(results, 0.99)}"),
        ],
        wrong,
    )


def vms_table(endings: Sequence[Ending], ledger: Ledger, wrong: Sequence[str]) -> str:
    """What came of the virtual machines, and of `wrong` with them, if anything."""
    ends = sorted(ending.seconds for ending in endings)
    states = [ending.status.state for ending in endings if ending.status]
    described = demo_vms.answered(ledger.calls)
    refused = ledger.count("DescribeInstances") - len(described)
    ids = [len(call.ids) for call in described]
    made = demo_vms.rounds(described)
    bad = sum(demo_vms.judge(ending, ledger) is not None for ending in endings)
    sizes = f"{len(ids)} calls for {sum(ids)} ids: {min(ids)} to {max(ids)} a call" if ids else "no calls"
    return _table(
        "virtual machines",
        [
            ("endings", f"{states.count('succeeded')} run, {states.count('failed')} failed to launch"),
            ("right results", f"{len(endings) - bad} of {len(endings)}"),
            ("time to end", f"p50 {_s(ends, 0.5)}   p99 {_s(ends, 0.99)}"),
            ("starts", f"{ledger.count('RunInstances')} calls, {len(ledger.instances)} instances"),
            ("describes", f"{sizes}, in {len(made)} rounds"),
            ("refused", f"{refused} describes throttled or failed, made again later"),
            (
                "allowed",
                f"1 call per {vm_addresses.batch} waiting ids every {vm_addresses.every_s:g} s: "
                + ("exceeded" if demo_vms.excess(ledger.calls) else "kept"),
            ),
            ("cost", _waited_and_billed(endings)),
        ],
        wrong,
    )


def _waited_and_billed(endings: Sequence[Ending]) -> str:
    shown = [ending.status for ending in endings if ending.status]
    waited, billed = sum(s.waited_ms for s in shown), sum(s.billed_ms for s in shown)
    return f"waited {_duration(waited)}, billed {_duration(billed)}"


def totals_table(stats: Stats, most_workers: int, workers: int) -> str:
    """What all of it came to; `workers` processes lived, `most_workers` at a time."""
    return _table(
        "in all",
        [
            ("cost", f"waited {_duration(stats.waited_ms)}, billed {_duration(stats.billed_ms)}"),
            ("workers", f"{workers} processes, at most {most_workers} at a time"),
        ],
        [],
    )


def _table(title: str, rows: Sequence[tuple[str, str]], wrong: Sequence[str]) -> str:
    lines = ["", title, *(f"  {name:<14} {text}" for name, text in rows)]
    lines += [f"  wrong: {one_line(text)}" for text in wrong[:_SHOWN]]
    if len(wrong) > _SHOWN:
        lines.append(f"  and {len(wrong) - _SHOWN} more")
    return "\n".join(lines)


def _duration(ms: float) -> str:
    """Milliseconds in the two largest units that it has."""
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _ms(ordered: Sequence[float], share: float) -> str:
    return f"{_at(ordered, share) * 1000:7.1f} ms"


def _s(ordered: Sequence[float], share: float) -> str:
    return f"{_at(ordered, share):5.1f} s"


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
