"""Branches: the lines of a task's code that run side by side, each with its place in the journal.

A task begins as one branch; `gather` and `first` make others. A branch belongs to the
asyncio task that runs it: what another asyncio task did could not be told apart in a
replay, so it is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from bide.errors import CodeChanged, Misuse
from bide.whose import BRANCH
from bide.worker.journal import Cursor, Entry, Journal, JournalEnd
from bide.worker.waits import Waits

if TYPE_CHECKING:
    from bide.worker.scribe import Speaker


class Branch:
    """One line of code: its place in the journal, and a failure the code may catch."""

    __slots__ = ("cursor", "failure", "owner", "speaker")

    def __init__(self, journal: Journal, path: str, speaker: Speaker | None) -> None:
        """speaker: whose code it is; None where nobody has to know."""
        self.speaker = speaker
        self.owner: asyncio.Task[Any] | None = None
        """The asyncio task that runs it; None before and afterwards: each would keep the other alive."""
        self.cursor = Cursor(journal, path)
        self.failure: tuple[int, Entry] | None = None
        """The latest operation, if it raised, with its position or 0. Once the branch goes on, the code has
        caught it, and a replay must meet it again; if it does not, the next attempt tries again."""


_FOREIGN: Final[dict[asyncio.Task[Any] | None, Speaker]] = {}
"""By asyncio task that some task's code made itself: whose code that is."""


def enter(journal: Journal, speaker: Speaker | None = None) -> None:
    """Begin a task's code: the asyncio task that runs now owns the branch of it. `leave` ends it.

    speaker: whose code it is; None where nobody has to know.
    """
    _take(Branch(journal, "", speaker))


def _take(branch: Branch) -> None:
    """Make the asyncio task that runs now the owner of a branch."""
    branch.owner = asyncio.current_task()
    BRANCH.set(branch)


def _owned() -> Branch | None:
    """The branch of the asyncio task that runs now. One that a task's code made itself owns none."""
    branch = BRANCH.get()
    if isinstance(branch, Branch) and branch.owner is not None and branch.owner is asyncio.current_task():
        return branch
    return None


def replaying() -> bool:
    """Whether the branch of the code that calls has entries before it that it has not come to yet.

    Code in an asyncio task, or a thread, that a branch made itself goes by that branch.
    """
    branch = BRANCH.get()
    return isinstance(branch, Branch) and branch.cursor.upcoming is not None


def end(speaker: Speaker) -> None:
    """The code of this attempt has ended; what it asked to be run at its end is no part of its journal."""
    BRANCH.set(Branch(Journal(), "", speaker))


def finish() -> None:
    """The code has come to its end. Raises CodeChanged when its journal has not."""
    branch = _owned()
    assert branch is not None, "begun by `enter`"
    branch.cursor.finish()


def leave() -> None:
    """The code has ended, one way or another."""
    branch = _owned()
    if branch is not None:
        branch.owner = None


def current(operation: str) -> Branch:
    """The branch of the code that calls. Raises Misuse outside of every one."""
    branch = _owned()
    if branch is None:
        raise Misuse(
            f"ctx.{operation} was called in an asyncio task that Bide does not know, so a replay could not "
            "tell its results apart. Give the coroutines to ctx.gather(...) or ctx.first(...) in place of "
            "asyncio.gather, create_task or wait_for; waits take a timeout=."
        )
    return branch


def adopt(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """The loop's task factory: notes which asyncio tasks a task's code makes by itself."""
    task = asyncio.Task(coroutine, loop=loop, **options)
    branch = _owned()
    speaker = _FOREIGN.get(asyncio.current_task(loop)) if branch is None else branch.speaker
    if speaker is not None:
        speaker.foreign = (*speaker.foreign, task)
        _FOREIGN[task] = speaker
        task.add_done_callback(_forget)
    return task


def _forget(ended: asyncio.Task[Any]) -> None:
    speaker = _FOREIGN.pop(ended)
    speaker.foreign = tuple(task for task in speaker.foreign if task is not ended)


class Group:
    """Branches that run side by side until enough of them have ended."""

    def __init__(self, journal: Journal, waits: Waits, path: str, *, needs_all: bool) -> None:
        """needs_all: go on until all have ended or one has failed; otherwise until one has ended."""
        self._journal = journal
        self._waits = waits
        self._path = path
        self._needs_all = needs_all
        self._left = 0
        self._complete: asyncio.Future[int] | None = None

    async def run(
        self, coroutines: Sequence[Coroutine[Any, Any, Any]]
    ) -> tuple[int, list[asyncio.Task[Any]]]:
        """Run them; returns which ended last, or first, and their asyncio tasks, all done.

        The rest is cancelled, and awaited, when enough of them have ended, or when this is cancelled.
        """
        loop = asyncio.get_running_loop()
        self._complete = loop.create_future()
        self._left = len(coroutines)
        self._waits.fork(len(coroutines))
        parent = _owned()
        assert parent is not None, "operations ask for it"
        tasks = []
        for number, coroutine in enumerate(coroutines):
            branch = Branch(self._journal, f"{self._path}.{number}", parent.speaker)
            # Made without the loop's factory: it is not foreign.
            tasks.append(asyncio.Task(self._run_branch(number, branch, coroutine), loop=loop))
        try:
            decisive = await self._complete
        except asyncio.CancelledError:
            if not self._complete.done() or self._complete.cancelled():
                self._complete = loop.create_future()
                self._complete.set_result(0)
                self._waits.fork(2)  # all of them end, and this one goes on beside them
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return decisive, tasks

    async def _run_branch(self, number: int, branch: Branch, coroutine: Coroutine[Any, Any, Any]) -> Any:
        failed = True
        _take(branch)
        try:
            result = await coroutine
            finish()
            failed = False
            return result
        except JournalEnd:
            failed = False
            raise
        except (SystemExit, KeyboardInterrupt) as error:
            # asyncio would pass them on to the worker, and end it.
            raise RuntimeError(f"a branch raised {type(error).__name__}") from error
        finally:
            branch.owner = None
            self._on_end(number, failed)

    def _on_end(self, number: int, failed: bool) -> None:
        assert self._complete is not None
        self._left -= 1
        enough = self._left == 0 or (failed if self._needs_all else True)
        if enough and not self._complete.done():
            self._complete.set_result(number)  # the parent takes this branch's place
        else:
            self._waits.end_branch()


def result_of(tasks: Sequence[asyncio.Task[Any]], decisive: int) -> Any:
    """What the decisive branch returned; raises what it raised.

    Where one met other code than the journal's, so has the group; and where one came to the end of
    a journal that is checked, likewise.
    """
    raised = [task.exception() for task in (tasks[decisive], *tasks) if not task.cancelled()]
    for kind in (CodeChanged, JournalEnd):
        for error in raised:
            if isinstance(error, kind):
                raise error
    return tasks[decisive].result()
