-- Begins a failed task again: as a new one, but for its id, the numbers of its attempts and what it has cost.
-- Transition: failed -> ready
-- Uses: _run, _stats, _line, _moves, meta, runs, ready, ends, dead, progress, uniques, revived, stats.
local moved = {} -- gauges

-- Another task that has not finished and holds this one's unique value, or nil.
local function rival_of(id, head)
  local holder = head[SPEC_UNIQUE] ~= '' and redis.call('HGET', uniques, head[SPEC_UNIQUE])
  if not holder or holder == id then return nil end
  local run = load_task(holder)
  return run and run[FINISHED] == 0 and holder or nil
end

-- Makes the record anew. state: ready or scheduled. from_ms: from when on `expires` and `deadline` count.
local function begin_again(id, run, head, state, from_ms, now_ms)
  local later_ms = from_ms - submitted_ms(id)
  local expires_ms, deadline_ms = head[SPEC_EXPIRES], head[SPEC_DEADLINE]
  run[EXPIRES] = expires_ms > 0 and expires_ms + later_ms or 0
  run[DEADLINE] = deadline_ms > 0 and deadline_ms + later_ms or 0
  local ends_ms = math.min(run[EXPIRES] > 0 and run[EXPIRES] or run[DEADLINE], run[DEADLINE] > 0 and run[DEADLINE]
    or run[EXPIRES])
  if ends_ms > 0 then redis.call('ZADD', ends, ends_ms, id) end
  run[MAX_ATTEMPTS], run[PRIORITY] = run[ATTEMPT] + head[SPEC_MAX_ATTEMPTS], head[SPEC_PRIORITY]
  run[STARTED], run[FINISHED], run[OUTCOME], run[CANCELLING], run[RETRIED] = 0, 0, '', 0, now_ms
  run[STATE] = state
  if state == 'ready' then run[SINCE] = now_ms else run[DUE] = from_ms end
  add_to_gauge(moved, 'failed', -1)
  add_to_gauge(moved, state, 1)
  note_move(id, run, 'retried')
  redis.call('HSET', runs, id, pack_run(run))
  if head[SPEC_UNIQUE] ~= '' then redis.call('HSET', uniques, head[SPEC_UNIQUE], id) end
  redis.call('HSET', revived, id, 1) -- its place in `done` stays behind
  redis.call('ZREM', dead, id)
  redis.call('HDEL', progress, id)
end

-- The same, and lines it up.
local function line_up_again(id, run, head, now_ms)
  begin_again(id, run, head, 'ready', now_ms, now_ms)
  redis.call('ZADD', ready, place(run, redis.call('HINCRBY', meta, 'seq', 1)), id)
end
