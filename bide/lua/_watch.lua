-- Tasks that wait for a shared poller: members of `watched`, each
-- `poller \0 key \0 task \0 token \0 rounds the poller had made`.
-- The poller itself is a task of its slot that never ends; it is made with its first watcher.
-- Transition: none -> waiting
-- Uses: _run, _writes, _ready, meta, specs, due, watched.

local function new_poller(id, name)
  local head = cmsgpack.pack({ '~' .. name, '~', 0 })
  redis.call('HSET', specs, id, struct.pack('>I4I2', 0, #head) .. head .. cjson.encode({}))
  return padded({ 'waiting' }, RUN_FIELDS, RUN_TEXTS)
end

-- The members that begin so: one, or none.
local function find(member)
  local from, to = '[' .. member .. '\0', '(' .. member .. '\1'
  return redis.call('ZRANGE', watched, from, to, 'BYLEX', 'LIMIT', 0, 10)
end

-- run: the poller's record, or nil. every_ms: what its rounds are apart at least.
local function watch(run, id, name, member, every_ms, now_ms)
  run = run or new_poller(id, name)
  if #find(member) == 0 then
    local entry = member .. '\0' .. run[POLLS]
    redis.call('ZADD', watched, 0, entry)
  end
  if run[STATE] == 'waiting' and run[DUE] == 0 then
    -- It sleeps since its last round, when there was nobody left to poll for.
    run[DUE] = math.max(now_ms, run[PARKED] + every_ms)
    collect(writes.due, run[DUE], id)
  end
  keep(id, run)
  return run
end

local function unwatch(member)
  local found = find(member)
  if #found > 0 then redis.call('ZREM', watched, unpack(found)) end
end
