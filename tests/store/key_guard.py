"""Scripts that check themselves: each command's keys must be among the script's KEYS.

A cluster asks for that, and a single server does not notice. Commands that the
guard does not know fail as well: it could not tell where their keys are.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import replace

from bide.scripts import Script
from bide.scripts import load as load_plain

__all__ = ["guarded", "load_plain", "sites", "unused"]

_CALL = re.compile(r"redis\.call\(")

_GUARD = """
local declared = {}
for _, key in ipairs(KEYS) do declared[key] = true end
local first_is_key = {}
local known = 'HGET HGETALL HKEYS HSET HMGET HSETNX HEXISTS HDEL HINCRBY ZADD ZREM ZCARD ZCOUNT ZLEXCOUNT '
  .. 'ZRANGE ZSCORE ZRANK ZPOPMIN ZREMRANGEBYSCORE RPUSH LPUSH LTRIM LRANGE LLEN SADD SMEMBERS EXISTS'
for command in string.gmatch(known, '%u+') do first_is_key[command] = true end
local unguarded = redis.call
local function call(site, command, key, ...)
  if not first_is_key[command] then error('unknown to the guard: ' .. tostring(command)) end
  if command == 'EXISTS' and select('#', ...) > 0 then error('EXISTS of several keys') end
  if not declared[key] then error('undeclared key: ' .. tostring(key)) end
  RECORD
  return unguarded(command, key, ...)
end
"""


def sites(script: Script) -> int:
    """How many commands stand in the script's text."""
    return len(_CALL.findall(script.source))


def _functions(script: Script) -> dict[str, list[str]]:
    """The lines of each top-level function, and under '' all others."""
    bodies: dict[str, list[str]] = {"": []}
    function = ""
    for line in script.source.splitlines():
        begun = re.match(r"(?:local )?function (\w+)\(", line)
        if begun:
            function = begun[1]
        bodies.setdefault(function, []).append(line)
        if line == "end" or (begun and line.endswith(" end")):
            function = ""
    return bodies


def unused(script: Script) -> set[int]:
    """Numbers of the commands in functions that an include brings and the script never calls."""
    bodies = _functions(script)
    live, todo = {""}, [""]
    while todo:
        text = "\n".join(bodies[todo.pop()])
        called = {name for name in bodies if name and name not in live and re.search(rf"\b{name}\(", text)}
        live |= called
        todo += called
    dead = {line for name, lines in bodies.items() if name not in live for line in lines}
    commands = [line for line in script.source.splitlines() for _ in _CALL.findall(line)]
    return {number for number, line in enumerate(commands) if line in dead}


def guarded(script: Script, *, calls_key: str = "") -> Script:
    """The script under guard.

    calls_key: ends the name of a list beside the script's first key, to which the number of
        each command's place in the text (0, 1, ...) is appended; empty for none.
    """
    record = f"unguarded('RPUSH', KEYS[1] .. '{calls_key}', site)" if calls_key else ""
    numbers = itertools.count()
    body = _CALL.sub(lambda _: f"call({next(numbers)}, ", script.source)
    flags, rest = re.match(r"(#!.*\n)?([\s\S]*)", body).groups("")
    source = flags + _GUARD.replace("RECORD", record) + rest
    return replace(
        script, source=source, sha=hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    )
