"""All settings, read from the environment once, in one frozen class.

Nothing else in Bide reads the environment. Every problem is reported together,
so that one failed start is enough to mend them all. docs/settings.md lists the
same table; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Final

from bide import variables
from bide.autoscaler import Limits
from bide.errors import SettingsError

DEFAULT_QUEUE: Final = "default"

_SECRET: Final = ("BIDE_REDIS_URL", "BIDE_API_KEY_HASHES", "BIDE_OPERATOR_KEY_HASHES")
"""Never shown: not in a problem, nor when settings are printed."""


def _setting(variable: str, default: Any, read: Callable[[str], Any], doc: str) -> Any:
    metadata = {"variable": variable, "read": read, "doc": doc}
    return field(default=default, metadata=metadata, repr=variable not in _SECRET)


@dataclass(frozen=True)
class Settings:
    """What the server, the workers and the tick are told. Times are in seconds."""

    redis_url: str = _setting(
        "BIDE_REDIS_URL",
        "",
        variables.redis_url,
        "The store: a Valkey >= 7.2 or Redis >= 7, as `redis://`, `rediss://` (TLS) or `unix://`. "
        "Options of TLS: `?ssl_ca_certs=FILE`, `?ssl_cert_reqs=none`. "
        "`make up` starts an embedded Valkey when it is unset.",
    )
    prefix: str = _setting("BIDE_PREFIX", "bide", variables.name, "First part of every key in the store.")
    tasks: tuple[str, ...] = _setting(
        "BIDE_TASKS",
        ("workers.tasks",),
        variables.packages,
        "Comma-separated packages that are searched for tasks.",
    )
    queues: tuple[str, ...] = _setting(
        "BIDE_QUEUES",
        (),
        variables.names,
        "Comma-separated queues that exist besides `default` and those that tasks name.",
    )
    api_key_hashes: tuple[tuple[str, str], ...] = _setting(
        "BIDE_API_KEY_HASHES",
        (),
        variables.key_hashes,
        "Comma-separated SHA-256 hex digests of the accepted API keys, each as `DIGEST` or `TENANT=DIGEST`. "
        "A tenant sees its own tasks only.",
    )
    operator_key_hashes: tuple[tuple[str, str], ...] = _setting(
        "BIDE_OPERATOR_KEY_HASHES",
        (),
        variables.key_hashes,
        "The same of operators' keys, which may do all that API keys may and besides close, open and drain "
        "the server, pause and resume queues, redrive and purge failed tasks, and see tracebacks and logs.",
    )
    local: bool = _setting(
        "BIDE_LOCAL",
        False,
        variables.flag,
        "1 in quick mode (`make up` sets it): loopback only, Host and Origin checked, no API key unless "
        "hashes of some are set, local-only tasks registered.",
    )
    local_open: bool = _setting(
        "BIDE_LOCAL_OPEN",
        False,
        variables.flag,
        "In quick mode without API keys: 1 lets every user of the machine do everything; 0 lets in the user "
        "alone who runs it, where the system tells whose a connection is (Linux).",
    )
    concurrency: int = _setting(
        "BIDE_CONCURRENCY",
        100,
        variables.whole(1, 100_000),
        "Tasks that one worker runs at once.",
    )
    lease_seconds: float = _setting(
        "BIDE_LEASE_SECONDS",
        20.0,
        variables.seconds(0.2, 3600),
        "How long a silent worker keeps its tasks; it renews every third of it.",
    )
    grace_seconds: float = _setting(
        "BIDE_GRACE_SECONDS",
        6.0,
        variables.seconds(0, 600),
        "How long a stopping worker lets running tasks finish before it hands them back.",
    )
    idle_seconds: float = _setting(
        "BIDE_IDLE_SECONDS",
        2.0,
        variables.seconds(0, 900),
        "How long an idle worker lingers before it leaves, where it may leave.",
    )
    hot_wait_seconds: float = _setting(
        "BIDE_HOT_WAIT_SECONDS",
        15.0,
        variables.seconds(0, 86_400),
        "Waits no longer than this stay in a worker that goes on living; longer ones are parked at once.",
    )
    hot_waits: int = _setting(
        "BIDE_HOT_WAITS",
        10_000,
        variables.whole(0, 1_000_000),
        "Waiting tasks that one worker keeps at most, besides those that it runs; further ones are parked.",
    )
    workers_min: int = _setting(
        "BIDE_WORKERS_MIN",
        2,
        variables.whole(0, 1000),
        "Workers that are kept although there is nothing to do; 0 lets all leave.",
    )
    workers_max: int = _setting(
        "BIDE_WORKERS_MAX",
        4,
        variables.whole(1, 1000),
        "Workers that run at once at most; one beyond them leases nothing.",
    )
    queue_limits: tuple[tuple[str, Limits], ...] = _setting(
        "BIDE_QUEUE_LIMITS",
        (),
        variables.queue_limits,
        "Comma-separated limits of single queues, each as `QUEUE=MIN-MAX` or `QUEUE=MIN-MAXxPLACES`, as "
        "`vms=0-2x50`: at most MAX workers lease from the queue, MIN are kept, and each runs PLACES of its "
        "tasks at once, besides `BIDE_CONCURRENCY` of all others.",
    )
    wake: str = _setting(
        "BIDE_WAKE",
        "none",
        variables.choice("none", "invoke", "sqs", "kinesis"),
        "How the API starts workers in AWS: `invoke` calls the drain function, `sqs` and `kinesis` send a "
        "hint to a trigger, which calls it; `none` where somebody else keeps workers running.",
    )
    drain_function: str = _setting(
        "BIDE_DRAIN_FUNCTION",
        "",
        variables.aws_name("a-zA-Z0-9_-", 64),
        "The Lambda function that is a worker; every `BIDE_WAKE` but `none` needs it.",
    )
    wake_queue: str = _setting(
        "BIDE_WAKE_QUEUE",
        "",
        variables.aws_name("a-zA-Z0-9_-", 80),
        "An SQS standard queue: the alarm clock for what is due within 15 minutes, and the doorbell of "
        "`BIDE_WAKE=sqs`. Without it, what is due waits for the next tick.",
    )
    wake_stream: str = _setting(
        "BIDE_WAKE_STREAM",
        "",
        variables.aws_name("a-zA-Z0-9_.-", 128),
        "A Kinesis stream: the doorbell of `BIDE_WAKE=kinesis`.",
    )
    worker_seconds: float = _setting(
        "BIDE_WORKER_SECONDS",
        840.0,
        variables.seconds(1, 86_400),
        "How long a worker in Lambda works before it hands over; less where its function's timeout is less.",
    )
    api_processes: int = _setting(
        "BIDE_API_PROCESSES", 2, variables.whole(1, 64), "HTTP server processes in quick mode."
    )
    tick_seconds: float = _setting(
        "BIDE_TICK_SECONDS",
        1.0,
        variables.seconds(0.05, 3600),
        "How often quick mode runs the tick; with `make up MODE=lambda` it is each minute, as in AWS, "
        "unless set.",
    )
    retention_seconds: int = _setting(
        "BIDE_RETENTION_SECONDS",
        86_400,
        variables.whole(1, 31_536_000),
        "How long a finished task can be read, where the task itself does not say.",
    )
    wait_slots: int = _setting(
        "BIDE_WAIT_SLOTS",
        16,
        variables.whole(0, 10_000),
        "Requests with `Prefer: wait` that may be held open at once, over all processes; "
        "one beyond them is answered at once.",
    )
    rate_limit: int = _setting(
        "BIDE_RATE_LIMIT",
        0,
        variables.whole(0, 1_000_000),
        "Submissions and events a second per tenant and queue, with one second's worth of burst; 0 is no "
        "limit.",
    )
    records: bool = _setting(
        "BIDE_RECORDS",
        True,
        variables.flag,
        "0 keeps no lines of tasks, no history of attempts and no series, and logs no transitions: what "
        "recording costs can be measured, or saved. States, results and totals are kept in any case.",
    )
    task_log_level: str = _setting(
        "BIDE_TASK_LOG_LEVEL",
        "INFO",
        variables.level,
        "From which level on what a task logs is kept with it: DEBUG, INFO, WARNING, ERROR or CRITICAL.",
    )
    log_level: str = _setting(
        "BIDE_LOG_LEVEL",
        "INFO",
        variables.level,
        "From which level on processes log. Transitions of tasks are INFO.",
    )
    log_format: str = _setting(
        "BIDE_LOG_FORMAT",
        "",
        variables.choice("json", "text"),
        "What processes log: `json`, one object a line, transitions of tasks among them; `text`, for "
        "people, without those. Unset, it is `text` in quick mode and `json` elsewhere.",
    )
    memory_mb: int = _setting(
        "BIDE_MEMORY_MB",
        variables.MEMORY_MB,
        variables.whole(128, 10_240),
        "Memory of the drain function in MB, by which stats tell dollars; it changes nothing else.",
    )
    prices: tuple[tuple[str, float], ...] = _setting(
        "BIDE_PRICES",
        (),
        variables.prices,
        "Comma-separated prices in dollars that replace listed ones, such as "
        "`lambda_gb_second=0.0000133334`; docs/cost.md lists them.",
    )

    @property
    def is_keyless(self) -> bool:
        """Whether requests need no API key: in local mode, unless hashes of some are set."""
        return self.local and not self.api_key_hashes and not self.operator_key_hashes

    def limits(self, queue: str) -> Limits:
        """What the queue is allowed: its own limits, else those of the server."""
        return self._own_limits.get(queue, self._other_limits)

    def has_own_places(self, queue: str) -> bool:
        """Whether the queue's tasks have places of their own in each worker."""
        own = dict(self.queue_limits).get(queue)
        return own is not None and own.concurrency > 0

    @property
    def logs_json(self) -> bool:
        """Whether processes log JSON, and so transitions."""
        return self.log_format == "json" or (not self.log_format and not self.local)

    @cached_property
    def _other_limits(self) -> Limits:
        return Limits(self.workers_min, self.workers_max, self.concurrency)

    @cached_property
    def _own_limits(self) -> dict[str, Limits]:
        return {
            queue: own if own.concurrency else own._replace(concurrency=self.concurrency)
            for queue, own in self.queue_limits
        }

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read every setting, or raise one SettingsError that names all that is wrong."""
        settings, problems = cls.read(environ)
        if problems:
            raise SettingsError(problems)
        return settings

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
        """What can be read, with defaults for the rest; and all that is wrong, a text for each."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        known = {f.metadata["variable"]: f for f in fields(cls)}
        for variable, setting in known.items():
            raw = environ.get(variable, "").strip()
            if not raw:
                continue
            try:
                values[setting.name] = setting.metadata["read"](raw)
            except ValueError as error:
                shown = "" if variable in _SECRET else f" (it is {raw!r})"
                problems.append(f"{variable} {error}{shown}")
        settings = cls(**values)
        if settings.workers_max < settings.workers_min:
            problems.append(
                f"BIDE_WORKERS_MAX ({settings.workers_max}) must not be below "
                f"BIDE_WORKERS_MIN ({settings.workers_min})"
            )
        problems += settings.lacking_wake()
        return settings, problems

    @staticmethod
    def name_a_store(environ: Mapping[str, str]) -> bool:
        """Whether these variables say where the store is, well or badly."""
        return bool(environ.get("BIDE_REDIS_URL", "").strip())

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all variables."""
        return tuple(setting.metadata["variable"] for setting in fields(cls))

    def lacking_wake(self) -> list[str]:
        """What `BIDE_WAKE` needs and has not."""
        needs = [("BIDE_DRAIN_FUNCTION", self.drain_function)] if self.wake != "none" else []
        needs += [("BIDE_WAKE_QUEUE", self.wake_queue)] if self.wake == "sqs" else []
        needs += [("BIDE_WAKE_STREAM", self.wake_stream)] if self.wake == "kinesis" else []
        return [
            f"{variable} is not set: BIDE_WAKE={self.wake} needs it" for variable, value in needs if not value
        ]
