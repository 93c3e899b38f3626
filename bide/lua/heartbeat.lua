-- Renews the leases that a worker names, and tells it which of them it has lost or should cancel.
-- Transition: none
-- KEYS[1] meta: whether somebody is awake
-- KEYS[2] specs: what was submitted
-- KEYS[3] runs: how far each task came
-- KEYS[4] leased: running tasks by the end of their lease
-- KEYS[5] workers: when each worker was last heard of
-- ARGV[1] now_ms: the server's time
-- ARGV[2] worker: who asks
-- ARGV[3] lease_ms: how long the leases last from now
-- ARGV[4...] held: id and fence of each lease, at most 100
-- Returns: {ids lost, ids to cancel}, 16 bytes each, joined
-- Errors: none
-- When full: goes on
-- Fence: only leases with the task's latest fence are renewed
-- Cost: 5 commands
local meta, specs, runs, leased, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
--- include _run
local now_ms = tonumber(ARGV[1])
if redis.call('ZSCORE', workers, ARGV[2]) then -- else it has left: what its thread had begun to say comes last
  redis.call('ZADD', workers, now_ms, ARGV[2])
  redis.call('HSET', meta, 'awake_ms', now_ms)
end

local ids, fences, renewed, lost, cancels = {}, {}, {}, {}, {}
for i = 4, #ARGV, 2 do
  ids[#ids + 1], fences[#fences + 1] = ARGV[i], tonumber(ARGV[i + 1])
end
for i, record in ipairs(redis.call('HMGET', runs, unpack(ids))) do
  local run = record and read_run(record)
  if run and run[FENCE] == fences[i] and run[STATE] == 'running' then
    renewed[#renewed + 1] = now_ms + tonumber(ARGV[3])
    renewed[#renewed + 1] = ids[i]
    if run[CANCELLING] == 1 then cancels[#cancels + 1] = ids[i] end
  elseif not run or run[FENCE] ~= fences[i] then
    lost[#lost + 1] = ids[i]
  end
end
if #renewed > 0 then redis.call('ZADD', leased, unpack(renewed)) end
return { table.concat(lost), table.concat(cancels) }
