-- Cancels a task: at once when nobody runs it, else by asking its worker.
-- Transition: scheduled -> cancelled, ready -> cancelled, retrying -> cancelled
-- KEYS[1] specs: what was submitted
-- KEYS[2] runs: how far it came
-- KEYS[3] results: outcomes
-- KEYS[4] ready: tasks to lease
-- KEYS[5] isolated: ready tasks that must not share a worker
-- KEYS[6] due: tasks that wait for their time
-- KEYS[7] leased: running tasks by the end of their lease
-- KEYS[8] done: finished tasks by the end of their retention
-- KEYS[9] signals: ids to cancel, by worker
-- ARGV[1] now_ms: the server's time
-- ARGV[2] id: 16 bytes
-- ARGV[3] tenant: who asks; another tenant's task is not found
-- Returns: {'CANCELLED'} at once (also when it was cancelled before), or {'REQUESTED', worker}
-- Errors: TASK_NOT_FOUND, TASK_FINISHED (with the state)
-- Fence: none; the worker's own settle of the cancel is fenced
-- Cost: 9 commands, O(log n)
local specs, runs, results, ready, isolated = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local due, leased, done, signals = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
--- include _run
--- include _writes
--- include _finish
local SPEC_TENANT = 3
local now_ms, id = tonumber(ARGV[1]), ARGV[2]

local record, spec = redis.call('HGET', runs, id), redis.call('HGET', specs, id)
if not record or cmsgpack.unpack(spec)[SPEC_TENANT] ~= ARGV[3] then return { 'TASK_NOT_FOUND' } end

local run = cmsgpack.unpack(record)
if run[STATE] == 'cancelled' then return { 'CANCELLED' } end
if run[FINISHED] > 0 then return { 'TASK_FINISHED', run[STATE] } end
if run[STATE] == 'running' then
  if run[CANCELLING] == 0 then
    run[CANCELLING] = 1
    redis.call('HSET', runs, id, cmsgpack.pack(run))
    redis.call('HSET', signals, run[WORKER], (redis.call('HGET', signals, run[WORKER]) or '') .. id)
  end
  return { 'REQUESTED', run[WORKER] }
end
redis.call('ZREM', ready, id)
redis.call('ZREM', isolated, id)
redis.call('ZREM', due, id)
finish(id, run, 'cancelled', '', now_ms)
flush()
return { 'CANCELLED' }
