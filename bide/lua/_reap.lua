-- Takes tasks from workers that have gone silent. The attempt is spent; the fence moves on,
-- so that nothing the old worker still says counts.
-- Whether the worker is dead or frozen cannot be told, so each of its tasks may have killed it; see _ready.
-- Transition: running -> ready, running -> failed, running -> cancelled
-- Uses: _run, _writes, _attempts, _moves, _finish, _ready, meta, runs, leased, isolated.
local WORKER_LOST = cjson.encode({
  code = 'WORKER_LOST',
  message = 'The worker that ran this task died or fell silent on every attempt.',
})

-- Returns how many, the names of the workers, and how many tasks were taken from each.
local function reap(now_ms, limit)
  local ids, holders, taken = redis.call('ZRANGE', leased, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, limit), {}, {}
  if #ids == 0 then return 0, holders, taken end
  local records = redis.call('HMGET', runs, unpack(ids))
  local seq = redis.call('HINCRBY', meta, 'seq', #ids) - #ids
  local fence = redis.call('HINCRBY', meta, 'fence', #ids) - #ids
  for i, id in ipairs(ids) do
    local run = read_run(records[i])
    local name = run[WORKER]
    if not taken[name] then holders[#holders + 1], taken[name] = name, 0 end
    if run[MAX_ATTEMPTS] > 0 then -- a poller is no task
      taken[name], run[SUSPECT] = taken[name] + 1, 1
    end
    run[FENCE] = fence + i
    note_attempt(id, run, 'lost', '', now_ms)
    collect(writes.unleased, id)
    if run[CANCELLING] == 1 then
      finish(id, run, 'cancelled', '', now_ms, name_of(id))
    elseif run[MAX_ATTEMPTS] > 0 and run[ATTEMPT] >= run[MAX_ATTEMPTS] then
      finish(id, run, 'failed', WORKER_LOST, now_ms, name_of(id))
    else
      line_up(id, run, seq + i, now_ms)
    end
    note_move(id, run, 'reaped', name)
  end
  flush()
  return #ids, holders, taken
end
