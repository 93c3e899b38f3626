"""What the store's account of itself means for Bide. Pure."""

from __future__ import annotations

from typing import Final

from bide.operate.finding import Finding, fail, ok, warn
from bide.store_info import LEAST, StoreInfo

ALMOST_FULL: Final = 0.8
"""Share of the store's memory from which it is said that little is left."""
FULL: Final = 0.95
CLOCK_S: Final = 2.0
"""How far apart clocks may be: a second or so is what NTP leaves on bad days."""
SIGNATURE_S: Final = 300.0
"""AWS refuses requests that were signed so far from its own time."""


def version(info: StoreInfo) -> Finding:
    """Whether the scripts run there."""
    named = f"{info.server.capitalize()} {info.version or 'of an unknown version'}"
    if info.is_old:
        least = " or ".join(f"{name.capitalize()} {major}.{minor}" for name, (major, minor) in LEAST.items())
        return fail("version", f"{named} is too old", f"Run {least}, or newer.")
    return ok("version", named)


def role(info: StoreInfo) -> Finding | None:
    """Whether it takes writes; None when it does."""
    if info.text("role") in ("slave", "replica"):
        master = f"{info.text('master_host')}:{info.text('master_port')}"
        return fail(
            "role",
            f"this is a replica of {master}, which takes no writes",
            "Let BIDE_REDIS_URL name the primary.",
        )
    if info.number("loading"):
        return fail("role", "it is loading its data", "Wait until it has, and look again.")
    return None


def durability(info: StoreInfo) -> Finding:
    """What would survive the store's death."""
    if info.durability == "aof":
        if info.text("aof_last_write_status") == "err":
            return fail(
                "durability",
                "the append-only file cannot be written, so the store refuses writes; what it accepted last "
                "is in its memory alone",
                "Make room on the store's disk before anything ends the store, or see in its log what is "
                "wrong with it.",
            )
        return _aof(info)
    if info.text("rdb_last_bgsave_status") == "err":
        return fail(
            "durability",
            "the last snapshot failed, after which a store refuses writes unless told otherwise",
            "Make room on the store's disk, or see in its log what is wrong with it.",
        )
    if info.durability == "rdb":
        return warn(
            "durability",
            f"snapshots alone: a store that dies loses what came since the last "
            f"({info.number('rdb_changes_since_last_save'):,} changes now)",
            "Set appendonly yes and appendfsync everysec, so that an accepted task is not lost.",
        )
    replicas = info.number("connected_slaves")
    copies = f"nothing but {replicas} replicas' memory" if replicas else "nothing"
    return warn(
        "durability",
        f"none: {copies} survives the store's death",
        "Set appendonly yes and appendfsync everysec, so that an accepted task is not lost.",
    )


def _aof(info: StoreInfo) -> Finding:
    delayed = info.number("aof_delayed_fsync")
    if delayed:  # counted under everysec alone
        return warn(
            "durability",
            f"append-only file, synced each second, {delayed:,} times late since the store began: meanwhile "
            "it held what it had accepted in its memory alone, up to two seconds of it",
            "Give the store a faster disk, or one of its own.",
        )
    return ok(
        "durability",
        "append-only file: a killed store loses nothing that was in the file; a power loss, what was not "
        "synced (everysec: about a second; INFO does not tell how often)",
    )


def eviction(info: StoreInfo) -> Finding:
    """Whether a full store throws tasks away."""
    policy, limit = info.text("maxmemory_policy"), info.number("maxmemory")
    if not policy or policy == "noeviction":
        return ok("eviction", "none: a full store refuses, and forgets nothing")
    if policy.startswith("volatile-"):
        return ok(
            "eviction",
            f"{policy} evicts only what has a time to live, and no task has one: a full store refuses",
        )
    if not limit:
        return ok("eviction", f"{policy}, with no limit of memory (maxmemory 0) that would set it off")
    return fail(
        "eviction",
        f"{policy}: a full store throws accepted tasks away",
        "Set maxmemory-policy to noeviction (in ElastiCache, in its parameter group).",
    )


def memory(info: StoreInfo) -> Finding:
    """How much is left, of the store's limit or else of its machine's memory."""
    used, limit = info.number("used_memory"), info.number("maxmemory")
    machine = info.number("total_system_memory")
    of = limit or machine
    if not of:
        return ok("memory", f"{size(used)} used; the store tells no limit")
    what = f"{size(used)} used of {size(of)}{'' if limit else ' that its machine has: no maxmemory is set'}"
    if used >= FULL * of:
        return fail(
            "memory",
            f"{what}: it is full, or as good as",
            "Give the store more memory, or shorten BIDE_RETENTION_SECONDS: what has finished leaves sooner.",
        )
    if used >= ALMOST_FULL * of:
        return warn(
            "memory",
            f"{what}: little is left",
            "Give the store more memory, or shorten BIDE_RETENTION_SECONDS: what has finished leaves sooner.",
        )
    return ok("memory", what)


def size(octets: int) -> str:
    """Bytes as people say them."""
    number, unit = float(octets), "B"
    for bigger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, bigger
    return f"{number:,.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"


def cluster(info: StoreInfo, moved: dict[str, str]) -> Finding:
    """Whether all that Bide keeps can be reached at one address.

    moved: by queue ("" is the server's own keys), the reply to a read that another node should be asked.
    """
    if not info.number("cluster_enabled"):
        return ok("cluster", "off: one server has all keys")
    if not moved:
        return ok("cluster", "on, and this address answers for every queue")
    queue, said = next(iter(moved.items()))
    whose = f"queue {queue}" if queue else "the server's keys"
    return fail(
        "cluster",
        f"on, and {len(moved)} of the parts of what Bide keeps lie on other nodes ({whose}: {said})",
        "Use a cluster of one shard, or ElastiCache Serverless, which answers for all at one address.",
    )


def clock(offset_s: float, doubt_s: float) -> Finding:
    """What the clocks of this machine and of the store make of it.

    offset_s: the store's time less this machine's. doubt_s: by how much that may be wrong, half of
    the time that the question took.
    """
    apart_s, way = abs(offset_s), "behind" if offset_s > 0 else "ahead of"
    if apart_s - doubt_s <= CLOCK_S:
        return ok("clock", f"this machine's is within {max(apart_s + doubt_s, 0.001):.3f} s of the store's")
    what = f"this machine's clock is {apart_s:,.1f} s {way} the store's, by which Bide goes"
    if apart_s - doubt_s > SIGNATURE_S:
        what += "; AWS refuses what it signs, if the store's clock is right"
    return warn("clock", what, "Set the clock that is wrong by NTP: logs and `run_at` are told by both.")
