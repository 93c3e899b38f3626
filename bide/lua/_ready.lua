-- Lines a task up for a worker. One that was parked resumes: its attempt goes on.
-- A task whose crash would be its last goes to `isolated`; see _reap.
-- Transition: waiting -> ready
-- Uses: _run, _writes, isolated.

-- seq: its place in the line, from the counter `seq`.
local function line_up(id, run, seq, now_ms)
  if run[PARKED] > 0 then
    local waited_ms = math.max(0, now_ms - run[PARKED])
    if run[MAX_ATTEMPTS] > 0 then
      run[WAITED] = run[WAITED] + waited_ms
      count('waited_ms', waited_ms)
    end
  end
  run[STATE], run[WORKER], run[DUE], run[PARKED], run[AWAITS] = 'ready', '', 0, 0, ''
  collect(writes.runs, id, cmsgpack.pack(run))
  local next_attempt = run[ATTEMPT] + 1 - run[RESUMES]
  if next_attempt > 1 and next_attempt >= run[MAX_ATTEMPTS] and run[MAX_ATTEMPTS] > 0 then
    redis.call('ZADD', isolated, seq, id)
  else
    collect(writes.ready, seq, id)
  end
end
