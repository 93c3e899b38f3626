-- Lines a task up for a worker. One that was parked resumes: its attempt goes on.
-- A task that a worker was lost with, and whose next loss would be its last, goes to `isolated`: no worker holds
-- two of those, so that a task which kills its workers fails alone and takes no neighbour with it. So does one that is
-- leased for its end alone.
-- Transition: waiting -> ready
-- Uses: _run, _writes, _line, isolated.
local EXIT_TRIES = 3 -- leases for what a task has asked to be run at its end; a worker's death costs one
local suspects = 0 -- lined up in `isolated` so far

local function is_suspect(run)
  local is_last = run[ENDING] ~= '' or run[ATTEMPT] + 1 - run[RESUMES] >= run[MAX_ATTEMPTS]
  return run[SUSPECT] == 1 and is_last
end

local function line_up(id, run, seq, now_ms)
  if run[PARKED] > 0 then
    local waited_ms = math.max(0, now_ms - run[PARKED])
    if run[MAX_ATTEMPTS] > 0 then
      run[WAITED] = run[WAITED] + waited_ms
      count('waited_ms', waited_ms)
    end
  end
  enter(run, 'ready')
  run[WORKER], run[DUE], run[PARKED] = '', 0, 0
  -- With what it awaited, the lease brings the events that came.
  if run[RESUMES] == 0 then run[AWAITS] = '' end
  -- No earlier than its last attempt began; of a task that resumes, later, though in the same millisecond.
  run[SINCE] = math.max(now_ms, run[BEGAN] + run[RESUMES])
  keep(id, run)
  if is_suspect(run) then
    redis.call('ZADD', isolated, place(run, seq), id)
    suspects = suspects + 1
  else
    collect(writes.ready, place(run, seq), id)
  end
end
