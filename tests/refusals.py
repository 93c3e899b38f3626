"""Error replies of a store that say nothing of Bide: every part of it has to bear each of them."""

from __future__ import annotations

from typing import Final

REFUSALS: Final = {
    "BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.": "is busy",
    "LOADING Valkey is loading the dataset in memory": "is loading its data",
    "CLUSTERDOWN The cluster is down": "has lost a part of its cluster",
    "TRYAGAIN Multiple keys request during rehashing of slot": "is moving its keys",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": "lost its primary",
    "MOVED 3999 127.0.0.1:6381": "is a cluster of several shards",
    "MOVED 3999 127.0.0.1:6381 script: 0a1b, on @user_script:1.": "is a cluster of several shards",
    "ASK 3999 127.0.0.1:6381": "is a cluster of several shards",
    "READONLY You can't write against a read only replica.": "is read-only just now",
    "OOM command not allowed when used memory > 'maxmemory'.": "is full",
    "OOM command not allowed when used memory > 'maxmemory'. script: 0a1b, on @user_script:1.": "is full",
    "MISCONF Errors writing to the AOF file: No space left on device": "cannot write to its disk",
    "NOREPLICAS Not enough good replicas to write.": "has fewer replicas",
    "NOAUTH Authentication required.": "refused the password",
    "WRONGPASS invalid username-password pair or user is disabled.": "refused the password",
    "NOPERM User bide has no permissions to run the 'evalsha' command": "forbids that to the user",
    "EXECABORT Transaction discarded because of: OOM command not allowed.": "is full",
    "EXECABORT Transaction discarded because of previous errors.": "not known here: EXECABORT",
    "NOSCRIPT No matching script.": "does not know the script",
    "UNBLOCKED force unblock from blocking operation, instance state changed": "changed its role",
    "ERR max number of clients reached": "has as many connections as it takes",
    "ERR internal error": "has met an error of its own",
    "ERR service is not available": "is not available",
    "ERR something that nobody has ever heard of": "not known here: ERR something",
    "BUSYGROUP that nobody has ever heard of": "not known here: BUSYGROUP",
    "FROBNICATED the store is": "not known here: FROBNICATED",
}
"""By the reply: words of what Bide says of it. All of them are StoreUnavailable: ask again later."""

FAULTS: Final = (
    "WRONGTYPE Operation against a key holding the wrong kind of value script: 0a1b, on @user_script:7.",
    "CROSSSLOT Keys in request don't hash to the same slot",
    "ERR user_script:12: attempt to index a nil value script: 0a1b, on @user_script:12.",
    "ERR Error running script (call to f_0a1b): @user_script:12: attempt to call a nil value",
    "ERR unknown command 'FROBNICATE', with args beginning with: ",
    "ERR wrong number of arguments for 'get' command",
)
"""Replies that tell of a fault of ours, or of damaged data: ScriptError."""
