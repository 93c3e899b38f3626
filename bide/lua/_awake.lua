-- Whether somebody is awake, and what it takes if nobody is.
-- Uses: meta.
local AWAKE_MS = 30000
local LAG_MS = 100 -- by which a reading of the store's time may be behind

-- Whether a worker has been heard of lately. One that died counts for a while; the tick makes
-- up for it.
local function awake(now_ms)
  return tonumber(redis.call('HGET', meta, 'awake_ms') or 0) >= now_ms - AWAKE_MS
end

-- Workers to start of a call that is repeated, for a task that is ready: the first reply, which said so, may be
-- lost; one, unless somebody is awake, or the queue is paused.
local function wanted_again(now_ms)
  return (awake(now_ms) or redis.call('HGET', meta, 'paused')) and 0 or 1
end

-- The time that an alarm has to be set for, if work is due at `due_ms` and nobody is awake until
-- then: 0 when one is set for no later, and cannot have gone off, or the queue is paused: nobody could run it.
local function alarm_needed(now_ms, due_ms)
  if due_ms <= 0 or awake(now_ms) then return 0 end
  local known = redis.call('HMGET', meta, 'armed_ms', 'paused')
  local armed_ms = tonumber(known[1] or 0)
  if known[2] or (armed_ms > now_ms + LAG_MS and armed_ms <= due_ms) then return 0 end
  return due_ms
end

-- The earliest score in these indexes, or -1.
local function earliest(indexes)
  local first_ms = -1
  for _, index in ipairs(indexes) do
    local first = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
    if first[2] and (first_ms < 0 or tonumber(first[2]) < first_ms) then first_ms = tonumber(first[2]) end
  end
  return first_ms
end
