"""The whole of Bide as it is deployed, on one machine: `make up MODE=lambda`.

A store, an AWS on loopback, a real `chalice deploy` of a copy of this clone into it, and the
emulator, which runs what was deployed. What was deployed before is gone with its AWS; the tasks
are in the store, and stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from bide.duty import Duties
from bide.errors import BideError
from bide.settings import Settings
from local.api_key import api_key
from local.aws.running import REGION, AwsProcess, RunningAws
from local.changes import Changes, in_words
from local.children import shown
from local.data import delete
from local.emulator.discovery import discover
from local.emulator.emulator import Emulator
from local.emulator.figures import Figures
from local.emulator.function import Rules
from local.emulator.service import FIGURES_PATH
from local.first_look import first_look
from local.lambda_figures import table
from local.lambda_mode import variables
from local.lambda_project import LambdaProject
from local.lambda_tasks import Found, load
from local.lambda_variables import STAGE
from local.line import Tasks
from local.reload import watched
from local.stack_store import StackStore
from local.words import count

_DRAIN_SECONDS: Final = 6.0
"""How long workers may go on with their tasks, of the ten seconds that Ctrl-C has."""

_LOOK_SECONDS: Final = 0.05

_CHECK_SECONDS: Final = 30.0
"""How long the start waits to know which tasks there are."""

_QUEUE: Final = {"VisibilityTimeout": "60", "MessageRetentionPeriod": "900"}
"""As docs/deploying.md asks for."""


class LambdaStack:
    """Everything behind one listening socket. The caller has claimed the `data` folder."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        listener: socket.socket,
        data: Path,
        say: Callable[[str], None],
        *,
        rules: Rules | None = None,
        api_concurrency: int | None = None,
    ) -> None:
        """settings, environ: as the user has set them; see `Variables` for what becomes of them.

        rules: of the emulator. api_concurrency: how many environments the API may have, instead of what
        BIDE_API_CONCURRENCY says. Raises SettingsError, StackFailed.
        """
        self._variables = variables(environ)
        self._environ = environ
        self._listener = listener
        self._say = say
        self._api_concurrency = api_concurrency
        self._settings = self._variables.settings
        self._folder = data / "lambda"
        self._project = LambdaProject(self._folder / "project", self._settings.tasks)
        self._store = StackStore(settings.redis_url, data / "store", say)
        self._aws_process = AwsProcess()
        self._aws: RunningAws | None = None
        self._rules = replace(rules or Rules(), schedule_period_s=self._variables.tick_period_s)
        self._changes = Changes()
        self._duties = Duties()
        self._found: Found | None = None
        """What came of loading the tasks last."""
        self._last_figures: dict[str, Figures] = {}
        self.key = api_key(environ, data)
        """What a request has to bring: `Authorization: Bearer <key>`."""
        self.url = ""
        """Where the API is, the stage's prefix included, after `start`."""
        self.redis_url = ""
        self.emulator: Emulator
        """After `start`."""

    async def start(self) -> bool:
        """Start everything; returns True. Raises StoreFailed, StackFailed."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        await asyncio.to_thread(delete, self._folder / "emulator")  # of the run before; its logs too
        self.redis_url = await self._store.start(self._settings)
        aws = self._aws = await self._aws_process.start()
        aws.save_key(self._folder)
        await asyncio.to_thread(self._prepare, aws)
        self._say(f"packaging and deploying a copy of this clone: chalice deploy --stage {STAGE}")
        await self._project.deploy(self._environ, aws.environ)
        self.emulator = Emulator(
            upstream=aws.url,
            key=aws.key,
            variables=aws.environ,
            rules=self._rules,
            directory=self._folder / "emulator",
        )
        await self.emulator.start()
        checking = await self._load(aws, self._listener)
        await asyncio.to_thread(first_look, self._settings, self.redis_url, aws.client("sqs"))
        code = partial(watched, self._settings.tasks)
        self._duties.begin("the watch for saved code", partial(self._changes.watch, code))
        self._duties.begin("deploying again", partial(self._redeploy, aws))
        self._duties.begin("the look for what an earlier stack has left", partial(self._look_again, aws))
        await asyncio.wait([checking], timeout=_CHECK_SECONDS)
        return True

    async def broken(self) -> str:
        """Wait until the stack cannot go on; returns why."""
        code = await self._aws_process.ended()
        return (
            f"the AWS on this machine (process {self._aws_process.pid}) ended with code {code}, and all "
            "that was deployed went with it; the tasks are in the store"
        )

    async def stop(self) -> None:
        """End everything, within ten seconds; workers may finish what they run for a while."""
        await self._duties.end()
        if hasattr(self, "emulator"):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    while self._busy_workers():
                        await asyncio.sleep(_LOOK_SECONDS)
            lost = self._busy_workers()
            if lost:
                again_s = self._settings.lease_seconds
                self._say(
                    f"{count(lost, 'worker')} ended amid tasks, which go on {again_s:g} s later if Bide is up"
                )
            self._last_figures = self.emulator.figures()
            await self.emulator.stop()
        await self._aws_process.stop()
        await self._store.stop()

    def kill(self) -> None:
        """End everything at once; the emulator's processes end with this one."""
        self._aws_process.kill()
        self._store.kill()

    def variables(self) -> dict[str, str]:
        """Those of its functions, once the store runs."""
        return self._variables.of_functions(self.redis_url, self.key)

    def parts(self) -> str:
        """What it consists of, for a person."""
        names = self.emulator.figures()
        return f"stage {STAGE}, {count(len(names), 'function')}, woken by {self._settings.wake}"

    def tasks(self) -> Tasks | None:
        """What can be submitted: nothing while a module cannot be loaded. None until that is known."""
        found = self._found
        if found is None:
            return None
        return Tasks(0, None) if found.problems else Tasks(found.count, found.sample)

    def problems(self) -> list[str]:
        """What keeps the tasks from being loaded."""
        return self._found.problems if self._found else []

    def addresses(self) -> str:
        """Where else something can be looked at, for a person."""
        figures = f"{self.emulator.url}{FIGURES_PATH}"
        return (
            f"  what each function did:  curl -K {shown(self._folder / 'curl')} {figures}\n"
            f"  what it printed:         {shown(self._folder / 'emulator' / 'logs')}\n"
            f"  the AWS it is in:        AWS_ENDPOINT_URL={self._url_of_aws()} AWS_REGION={REGION}"
            f" AWS_SHARED_CREDENTIALS_FILE={shown(self._folder / 'credentials')}\n"
        )

    def parting(self) -> str:
        """What each function did, as a table; empty when there was none."""
        shown_table = table(self._last_figures)
        return f"\n{shown_table}\n\n" if shown_table else ""

    def _url_of_aws(self) -> str:
        return self._aws.url if self._aws else ""

    def _busy_workers(self) -> int:
        return sum(
            figures.busy for name, figures in self.emulator.figures().items() if name.endswith("-drain")
        )

    def _prepare(self, aws: RunningAws) -> None:
        self._project.forget_deployment()
        self._copy()
        aws.client("sqs").create_queue(QueueName=self._settings.wake_queue, Attributes=_QUEUE)
        if self._settings.wake_stream:
            aws.client("kinesis").create_stream(StreamName=self._settings.wake_stream, ShardCount=1)

    def _copy(self) -> None:
        concurrency = self._api_concurrency or self._settings.api_concurrency
        self._project.copy(self.variables(), concurrency)

    async def _load(self, aws: RunningAws, listener: socket.socket | None) -> asyncio.Task[None]:
        """Run what is deployed now; the packages of what was deployed before are deleted.

        Returns the check of its tasks, which goes on.
        """
        account = await asyncio.to_thread(discover, aws.client, self._project.zips)
        urls = await self.emulator.load(account, aws.client, listener)
        (self.url,) = urls.values()
        self._project.forget({function.code for function in account.functions})
        return self._duties.begin("the check of the deployed tasks", self._check_tasks)

    async def _check_tasks(self) -> None:
        """Say what keeps the tasks from being loaded; all functions have the same."""
        first = next(iter(self.emulator.figures()))
        self._found = await load(self.emulator.deployed(first))
        for problem in self._found.problems:
            self._say(f"not loaded: {problem}; nothing is served until that is mended, as in AWS")

    async def _redeploy(self, aws: RunningAws) -> None:
        """Deploy again whenever the code has changed."""
        while True:
            changed = await self._changes.next()
            try:
                await asyncio.to_thread(self._copy)
                await self._project.deploy(self._environ, aws.environ)
                await self._load(aws, None)
            except Exception as error:  # whatever it is, the next change may mend it
                self._say(f"not deployed: {in_words(changed)}; what ran before goes on. {error}")
            else:
                self._say(
                    f"deployed again: {in_words(changed)}; running workers finish with the code they have"
                )

    async def _look_again(self, aws: RunningAws) -> None:
        """Look once more when the leases of workers that an earlier stack has lost are over."""
        await asyncio.sleep(self._settings.lease_seconds + 1)
        with contextlib.suppress(BideError):  # the store is away; the tick sees to it
            await asyncio.to_thread(first_look, self._settings, self.redis_url, aws.client("sqs"))
