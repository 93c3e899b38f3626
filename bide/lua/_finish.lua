-- Ends a task: its terminal state, its outcome and its place in `done`, together. What it
-- needed to go on, its journal and its unread events, goes.
-- A large result stands apart from the run, in `results`, where lists do not read it.
-- Uses: _run, _writes, _journal, _done, _attempts, _series, _unread, dead, specs, results.
local INLINE_BYTES = 512 -- as of arguments
local shelves, failures, large = {}, {}, {}

collect(also, function()
  for shelf, ids in pairs(shelves) do shelve(shelf, ids) end
  flush_one('ZADD', dead, failures)
  flush_one('HSET', results, large)
  shelves, failures, large = {}, {}, {}
end)

-- The name of a task, where nobody has told it.
local function name_of(id) return read_spec(redis.call('HGET', specs, id))[SPEC_NAME] end

-- Writes down how the attempt under way has ended, if there is one: a task may also end between two.
local function close_attempt(id, run, state, outcome, now_ms)
  local is_open = run[STATE] == 'running' or run[RESUMES] == 1
  if is_open and (state ~= 'succeeded' or run[ATTEMPT] > 1) then
    note_attempt(id, run, state, state == 'failed' and outcome or '', now_ms)
  end
end

-- name: the task's, by which its end is counted; '' for not at all.
local function finish(id, run, state, outcome, now_ms, name)
  close_attempt(id, run, state, outcome, now_ms)
  if run[PARKED] > 0 then
    local waited_ms = math.max(0, now_ms - run[PARKED])
    run[WAITED] = run[WAITED] + waited_ms
    count('waited_ms', waited_ms)
  end
  if run[EXPIRES] + run[DEADLINE] > 0 then collect(writes.unended, id) end
  if run[JOURNAL] > 0 then collect_fields(writes.unjournal, id, run[JOURNAL]) end
  if run[INBOX] > 0 then collect_inbox(writes.uninbox, id) end
  enter(run, state)
  -- Callers' readings of the store's time differ by a little.
  local least_ms = run[STARTED] > 0 and math.max(run[STARTED], run[BEGAN]) or math.max(submitted_ms(id), run[RETRIED])
  run[FINISHED], run[WORKER], run[DUE] = math.max(now_ms, least_ms), '', 0
  if outcome ~= '' then run[OUTCOME] = outcome end
  if state == 'succeeded' and #run[OUTCOME] > INLINE_BYTES then
    collect(large, id, run[OUTCOME])
    run[OUTCOME] = ''
  end
  run[PARKED], run[AWAITS], run[JOURNAL], run[INBOX], run[RESUMES] = 0, '', 0, 0, 0
  -- What the spec says, and what nobody asks of a task that is over: such records are many.
  run[PRIORITY], run[EXPIRES], run[DEADLINE], run[SINCE], run[BEGAN] = 0, 0, 0, 0, 0
  run[ACTIVE], run[EXITS], run[SUSPECT], run[REFUSED], run[ENDING] = 0, 0, 0, 0, ''
  keep(id, run)
  local shelf = shelf_of(run)
  shelves[shelf] = shelves[shelf] or {}
  collect(shelves[shelf], id)
  if state == 'failed' then collect(failures, run[FINISHED], id) end
  count(state, 1)
  if name ~= '' then note_end(name, state, run[STARTED] > 0 and run[FINISHED] - run[STARTED] or -1) end
end
