-- Ends a task: its terminal state, its outcome and its place in `done`, together. What it
-- needed to go on, its journal and its unread events, goes.
-- Uses: _run, _writes, _journal.
local function finish(id, run, state, outcome, now_ms)
  if run[PARKED] > 0 then
    local waited_ms = math.max(0, now_ms - run[PARKED])
    run[WAITED] = run[WAITED] + waited_ms
    count('waited_ms', waited_ms)
  end
  if run[EXPIRES] + run[DEADLINE] > 0 then collect(writes.unended, id) end
  if run[JOURNAL] > 0 then collect_fields(writes.unjournal, id, run[JOURNAL]) end
  if run[INBOX] > 0 then collect(writes.uninbox, id) end
  run[STATE], run[FINISHED], run[WORKER], run[DUE] = state, math.max(now_ms, run[STARTED]), '', 0
  run[PARKED], run[AWAITS], run[JOURNAL], run[INBOX], run[RESUMES] = 0, '', 0, 0, 0
  collect(writes.runs, id, cmsgpack.pack(run))
  collect(writes.done, now_ms + run[RETENTION], id)
  if outcome ~= '' then collect(writes.results, id, outcome) end
  count(state, 1)
end
