-- Which workers are awake.
-- Uses: meta, workers, _awake.
-- A worker shows that it is awake.
local function note_awake(now_ms, worker)
  redis.call('ZADD', workers, now_ms, worker)
  redis.call('HSET', meta, 'awake_ms', now_ms)
end

-- A worker leaves. Returns whether it was still on the list.
local function note_leaving(now_ms, worker)
  local was_there = redis.call('ZREM', workers, worker) == 1
  if redis.call('ZCOUNT', workers, now_ms - AWAKE_MS, '+inf') == 0 then
    redis.call('HSET', meta, 'awake_ms', 0)
  end
  return was_there
end
