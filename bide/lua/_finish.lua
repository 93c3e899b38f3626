-- Ends a task: its terminal state, its outcome and its place in `done`, together. What it
-- needed to go on, its journal and its unread events, goes.
-- Uses: _run, _writes, _journal, _done, _attempts, _series, dead, specs.
local shelves, failures = {}, {}

collect(also, function()
  for shelf, ids in pairs(shelves) do shelve(shelf, ids) end
  flush_one('ZADD', dead, failures)
  shelves, failures = {}, {}
end)

-- The name of a task, where nobody has told it.
local function name_of(id) return read_spec(redis.call('HGET', specs, id))[SPEC_NAME] end

-- name: the task's, by which its end is counted; '' for not at all.
local function finish(id, run, state, outcome, now_ms, name)
  local is_open = run[STATE] == 'running' or run[RESUMES] == 1
  if is_open and (state ~= 'succeeded' or run[ATTEMPT] > 1) then
    note_attempt(id, run, state, state == 'failed' and outcome or '', now_ms)
  end
  if run[PARKED] > 0 then
    local waited_ms = math.max(0, now_ms - run[PARKED])
    run[WAITED] = run[WAITED] + waited_ms
    count('waited_ms', waited_ms)
  end
  if run[EXPIRES] + run[DEADLINE] > 0 then collect(writes.unended, id) end
  if run[JOURNAL] > 0 then collect_fields(writes.unjournal, id, run[JOURNAL]) end
  if run[INBOX] > 0 then collect(writes.uninbox, id) end
  enter(run, state)
  -- Callers' readings of the store's time differ by a little.
  local least_ms = run[STARTED] > 0 and math.max(run[STARTED], run[BEGAN]) or math.max(submitted_ms(id), run[RETRIED])
  run[FINISHED], run[WORKER], run[DUE] = math.max(now_ms, least_ms), '', 0
  if outcome ~= '' then run[OUTCOME] = outcome end
  run[PARKED], run[AWAITS], run[JOURNAL], run[INBOX], run[RESUMES] = 0, '', 0, 0, 0
  -- What the spec says, and what nobody asks of a task that is over: such records are many.
  run[PRIORITY], run[EXPIRES], run[DEADLINE], run[SINCE], run[BEGAN] = 0, 0, 0, 0, 0
  run[ACTIVE], run[EXITS], run[SUSPECT], run[REFUSED] = 0, 0, 0, 0
  keep(id, run)
  local shelf = shelf_of(run)
  shelves[shelf] = shelves[shelf] or {}
  collect(shelves[shelf], id)
  if state == 'failed' then collect(failures, run[FINISHED], id) end
  count(state, 1)
  if name ~= '' then note_end(name, state, run[STARTED] > 0 and run[FINISHED] - run[STARTED] or -1) end
end
