-- Hands ready tasks to a worker, first in first out.
-- Transition: ready -> running
-- Uses: _run, _writes, meta, runs, specs, ready, isolated.

-- Appends id, spec, attempt, fence and 1 for an isolated task to `leases`, five values a task.
local function describe(leases, id, spec, run, is_isolated)
  local n = #leases
  leases[n + 1], leases[n + 2], leases[n + 3] = id, spec, run[ATTEMPT]
  leases[n + 4], leases[n + 5] = run[FENCE], is_isolated
end

-- When a task was submitted: the first six bytes of its id. Callers' readings of the store's time
-- differ by a little, and no task shall seem to start before it was submitted.
local function submitted_ms(id)
  local ms = 0
  for i = 1, 6 do ms = ms * 256 + string.byte(id, i) end
  return ms
end

local function lease(leases, ids, worker, expires_ms, now_ms, is_isolated)
  if #ids == 0 then return end
  local records = redis.call('HMGET', runs, unpack(ids))
  local bodies = redis.call('HMGET', specs, unpack(ids))
  local fence = redis.call('HINCRBY', meta, 'fence', #ids) - #ids
  for i, id in ipairs(ids) do
    local run = cmsgpack.unpack(records[i])
    run[STATE], run[WORKER] = 'running', worker
    run[ATTEMPT], run[FENCE] = run[ATTEMPT] + 1, fence + i
    if run[STARTED] == 0 then run[STARTED] = math.max(now_ms, submitted_ms(id)) end
    collect(writes.runs, id, cmsgpack.pack(run))
    collect(writes.leased, expires_ms, id)
    describe(leases, id, bodies[i], run, is_isolated)
  end
  flush()
end

-- ZPOPMIN's reply without its scores.
local function pop(key, count)
  local popped, ids = redis.call('ZPOPMIN', key, count), {}
  for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
  return ids
end
