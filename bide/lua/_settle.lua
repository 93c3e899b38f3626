-- Commits the end of one lease, if the lease is still the latest.
-- Transition: running -> succeeded, running -> failed, running -> cancelled,
--   running -> retrying, running -> ready, running -> waiting
-- A cancel that was asked for wins over another try, over a refusal, and over a park.
-- A lease for what a task has asked to be run at its end is settled likewise: any end says that it has been run, and
-- the task ends as was decided; `ready` and `refused`, that it has not been, and cost no try; `retrying`, that it
-- could not be.
-- A settled record keeps its fence, so the same settle again answers true and changes nothing.
-- Uses: _run, _writes, _attempts, _moves, _exits, _ready, _inbox, meta, watched.
local TERMINAL = { succeeded = true, failed = true, cancelled = true }
local STAYS = { waiting = true, polled = true }

-- What the lease cost: billed_us, waited_ms, replays, polls, calls of a poller, active_ms of this
-- attempt, 1 if it ends without having run what is to be run at the task's end, and the task's name.
-- Returns the name, and the 1 or 0.
local function charge(run, usage)
  if usage == '' then return '', 0 end
  local billed_us, waited_ms, replays, polls, calls, active_ms, exits, name = unpack(cmsgpack.unpack(usage))
  run[BILLED], run[WAITED] = run[BILLED] + billed_us, run[WAITED] + waited_ms
  run[REPLAYS], run[POLLS] = run[REPLAYS] + replays, run[POLLS] + polls
  run[ACTIVE] = active_ms
  count('billed_us', billed_us)
  count('calls', calls)
  if run[MAX_ATTEMPTS] > 0 then
    count('waited_ms', waited_ms)
    count('replays', replays)
    count('polls', polls)
  end
  return name or '', exits
end

-- Parks a task until it is due, or until one of the events in `awaits` comes, or has come.
local function park(run, id, delay_ms, awaits, now_ms)
  local holder = run[WORKER]
  run[WORKER], run[RESUMES], run[PARKED], run[AWAITS] = '', 1, now_ms, awaits
  if run[INBOX] > 0 and has_awaited(run, id) then
    line_up(id, run, redis.call('HINCRBY', meta, 'seq', 1), now_ms)
    note_move(id, run, 'parked', holder)
    return
  end
  enter(run, 'waiting')
  run[DUE] = delay_ms >= 0 and now_ms + delay_ms or 0
  if run[DUE] > 0 then collect(writes.due, run[DUE], id) end
  keep(id, run)
end

-- Puts a task off for others, as its worker lacks the task's code. But for what the lease has cost, the task is as
-- before it.
local function refuse(run, id, delay_ms, failure, now_ms)
  -- What was ready to resume became so after its attempt began (see _ready): it still has that attempt.
  if run[SINCE] > run[BEGAN] then run[RESUMES] = 1 else run[ATTEMPT] = run[ATTEMPT] - 1 end
  enter(run, 'retrying')
  run[WORKER], run[DUE], run[REFUSED] = '', now_ms + delay_ms, run[REFUSED] + delay_ms
  if run[ENDING] == '' then run[OUTCOME] = failure end
  collect(writes.due, run[DUE], id)
  keep(id, run)
end

-- run: the task's record, or nil. state: to enter, `polled` for a poller after its round, or `refused`.
-- delay_ms: for retrying, refused, polled and waiting (there -1 is no time). body: what the task awaits,
-- the poller's name, or its outcome: JSON or ''.
local function settle(run, id, fence, state, delay_ms, body, usage, now_ms)
  if not run or run[FENCE] ~= fence then return false end
  if run[STATE] ~= 'running' then return true end
  collect(writes.unleased, id)
  local name, left = charge(run, usage)
  local is_end = TERMINAL[state]
  if is_end and left == 0 then run[EXITS] = 0 end -- there is nothing more to run
  local is_untried = state == 'ready' or state == 'refused'
  if run[ENDING] ~= '' and is_untried then run[EXITS] = run[EXITS] + 1 end
  if state == 'refused' and run[CANCELLING] == 0 then
    refuse(run, id, delay_ms, body, now_ms)
    return true
  end
  local is_cancelled = run[CANCELLING] == 1 and not is_end
  local is_ending = run[ENDING] ~= '' and (state ~= 'retrying' or run[EXITS] == 0)
  if is_end or is_cancelled or is_ending then
    local holder = run[WORKER]
    end_task(id, run, is_cancelled and 'cancelled' or state, is_end and body or '', now_ms, name)
    if run[STATE] ~= state then note_move(id, run, run[STATE] == 'ready' and 'parked' or 'cancelled', holder) end
    return true
  end
  if run[REFUSED] > 0 and state ~= 'ready' then -- this worker had its code
    run[REFUSED] = 0
    if run[ENDING] == '' then run[OUTCOME] = '' end
  end
  if STAYS[state] then
    if state == 'polled' then
      -- A poller that nobody waits for sleeps until somebody does; see _watch.
      local waiting = redis.call('ZLEXCOUNT', watched, '[' .. body .. '\0', '(' .. body .. '\1')
      delay_ms, body = waiting > 0 and delay_ms or -1, ''
    end
    park(run, id, delay_ms, body, now_ms)
    return true
  end
  if state == 'retrying' then note_attempt(id, run, state, body, now_ms) end
  run[WORKER], run[RESUMES] = '', run[ENDING] ~= '' and 1 or 0
  if state == 'retrying' then
    enter(run, 'retrying')
    run[DUE], run[AWAITS] = now_ms + delay_ms, ''
    if body ~= '' and run[ENDING] == '' then run[OUTCOME] = body end
    collect(writes.due, run[DUE], id)
    keep(id, run)
  else -- handed back: the attempt has not happened
    run[ATTEMPT] = run[ATTEMPT] - 1
    line_up(id, run, redis.call('HINCRBY', meta, 'seq', 1), now_ms)
  end
  return true
end
