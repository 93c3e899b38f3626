-- A worker's one call per turn and slot: settle what finished, promote, reap and prune what is
-- due, lease more, and learn of cancels and the next due time.
-- Transition: running -> succeeded, running -> failed, running -> cancelled, running -> retrying,
--   running -> ready, scheduled -> ready, retrying -> ready, ready -> running
-- KEYS[1] meta: counters `seq` and `fence`
-- KEYS[2] specs: what was submitted
-- KEYS[3] runs: how far it came
-- KEYS[4] results: outcomes
-- KEYS[5] ready: tasks to lease
-- KEYS[6] isolated: ready tasks that must not share a worker
-- KEYS[7] due: tasks that wait for their time
-- KEYS[8] leased: running tasks by the end of their lease
-- KEYS[9] done: finished tasks by the end of their retention
-- KEYS[10] idempotency: submissions by their key
-- KEYS[11] listeners: workers that block on the bell
-- KEYS[12] bell: doorbell tokens
-- KEYS[13] workers: when each worker was last heard of
-- KEYS[14] ledgers: what each worker's last exchange lost and leased
-- KEYS[15] signals: ids to cancel, by worker
-- ARGV[1] now_ms: the server's time
-- ARGV[2] worker: who asks
-- ARGV[3] boot: which start of that worker, growing
-- ARGV[4] seq: which exchange of that boot, growing; the same again repeats the answer
-- ARGV[5] capacity: tasks to lease, at most 100
-- ARGV[6] lease_ms: how long the leases last
-- ARGV[7] isolate: 1 when the worker has room for an isolated task
-- ARGV[8] listen_ms: how long it will block on the bell if it has room left, 0 for not at all
-- ARGV[9...] settles: id, fence, state to enter, delay_ms and outcome of each, at most 100
-- Returns: {'OK', positions of lost settles, leases (id, spec, attempt, fence, isolated; ...),
--   ids to cancel, next due time in ms or -1, tasks still ready}
-- Errors: SUPERSEDED (a later exchange or boot of this worker was seen; nothing was done)
-- Fence: each settle counts only for its task's latest fence; each lease gets a new one
-- Cost: 15 commands and about 5 per task settled and 4 per task leased, batched
local meta, specs, runs, results, ready = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local isolated, due, leased, done, idempotency = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local listeners, bell, workers, ledgers, signals = KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
--- include _run
--- include _writes
--- include _finish
--- include _settle
--- include _promote
--- include _reap
--- include _prune
--- include _lease
--- include _ring
local SETTLES = 9
local now_ms, worker = tonumber(ARGV[1]), ARGV[2]
local boot, seq = tonumber(ARGV[3]), tonumber(ARGV[4])

local ledger = redis.call('HGET', ledgers, worker)
local last_boot, last_seq, last_ids, last_isolated, lost = 0, 0, {}, 0, {}
if ledger then last_boot, last_seq, last_ids, last_isolated, lost = unpack(cmsgpack.unpack(ledger)) end
if boot < last_boot or (boot == last_boot and seq < last_seq) then return { 'SUPERSEDED' } end
local again = boot == last_boot and seq == last_seq

local settled_now = 0
if not again then lost = {} end
if not again and #ARGV >= SETTLES then
  local ids, settled = {}, {}
  for i = SETTLES, #ARGV, 5 do ids[#ids + 1] = ARGV[i] end
  settled_now = #ids
  for n, record in ipairs(redis.call('HMGET', runs, unpack(ids))) do
    local i = SETTLES + (n - 1) * 5
    -- A lease may be settled twice here: handed back, and through after all. The first counts.
    local run = settled[ids[n]] or record and cmsgpack.unpack(record)
    settled[ids[n]] = run
    if not settle(run, ids[n], tonumber(ARGV[i + 1]), ARGV[i + 2], tonumber(ARGV[i + 3]), ARGV[i + 4], now_ms) then
      lost[#lost + 1] = n - 1
    end
  end
  flush()
end

promote(now_ms, 100)
local reaped = reap(now_ms, 100)
prune(now_ms, math.max(10, settled_now)) -- no slower than tasks end

local leases, capacity = {}, tonumber(ARGV[5])
if again then
  local records = #last_ids > 0 and redis.call('HMGET', runs, unpack(last_ids)) or {}
  for i, record in ipairs(records) do
    local run = record and cmsgpack.unpack(record)
    if run and run[STATE] == 'running' and run[WORKER] == worker then
      local is_isolated = i <= last_isolated and 1 or 0
      describe(leases, last_ids[i], redis.call('HGET', specs, last_ids[i]), run, is_isolated)
    end
  end
elseif capacity > 0 then
  local expires_ms = now_ms + tonumber(ARGV[6])
  if ARGV[7] == '1' then
    lease(leases, pop(isolated, 1), worker, expires_ms, now_ms, 1)
  end
  lease(leases, pop(ready, capacity - #leases / 5), worker, expires_ms, now_ms, 0)
end

if not again then
  local ids = {}
  for i = 1, #leases, 5 do ids[#ids + 1] = leases[i] end
  redis.call('HSET', ledgers, worker, cmsgpack.pack({ boot, seq, ids, #leases > 0 and leases[5] or 0, lost }))
end
redis.call('ZADD', workers, now_ms, worker)

if tonumber(ARGV[8]) > 0 and #leases / 5 < capacity then
  redis.call('ZADD', listeners, now_ms + tonumber(ARGV[8]), worker)
else
  redis.call('ZREM', listeners, worker)
end
local waiting = redis.call('ZCARD', ready)
if waiting + reaped > 0 then ring(now_ms, waiting + reaped) end

local cancels = redis.call('HGET', signals, worker) or ''
if cancels ~= '' then redis.call('HDEL', signals, worker) end

local next_ms = -1
for _, index in ipairs({ due, leased }) do
  local first = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
  if first[2] and (next_ms < 0 or tonumber(first[2]) < next_ms) then next_ms = tonumber(first[2]) end
end
return { 'OK', lost, leases, cancels, next_ms, waiting }
