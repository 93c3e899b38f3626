-- Commits the outcome of one lease, if the lease is still the latest.
-- Transition: running -> succeeded, running -> failed, running -> cancelled,
--   running -> retrying, running -> ready
-- A cancel that was asked for wins over another try.
-- A settled record keeps its fence, so the same settle again answers true and changes nothing.
-- Uses: _run, _writes, _finish, meta, isolated.
local TERMINAL = { succeeded = true, failed = true, cancelled = true }

-- run: the task's record, or nil. state: to enter. delay_ms: for retrying. outcome: JSON or ''.
local function settle(run, id, fence, state, delay_ms, outcome, now_ms)
  if not run or run[FENCE] ~= fence then return false end
  if run[STATE] ~= 'running' then return true end
  collect(writes.unleased, id)
  if run[CANCELLING] == 1 and not TERMINAL[state] then
    state, outcome = 'cancelled', ''
  end
  if TERMINAL[state] then
    finish(id, run, state, outcome, now_ms)
    return true
  end
  if outcome ~= '' then collect(writes.results, id, outcome) end
  run[WORKER] = ''
  if state == 'retrying' then
    run[STATE], run[DUE] = 'retrying', now_ms + delay_ms
    collect(writes.due, run[DUE], id)
  else -- handed back: the attempt has not happened
    run[STATE], run[ATTEMPT] = 'ready', run[ATTEMPT] - 1
    local seq = redis.call('HINCRBY', meta, 'seq', 1)
    if run[ATTEMPT] > 0 and run[ATTEMPT] + 1 >= run[MAX_ATTEMPTS] then
      redis.call('ZADD', isolated, seq, id) -- as the reaper would; see _reap
    else
      collect(writes.ready, seq, id)
    end
  end
  collect(writes.runs, id, cmsgpack.pack(run))
  return true
end
