-- Ends a task: its terminal state, its outcome and its place in `done`, together.
-- Uses: _run, _writes.
local function finish(id, run, state, outcome, now_ms)
  run[STATE], run[FINISHED], run[WORKER], run[DUE] = state, math.max(now_ms, run[STARTED]), '', 0
  collect(writes.runs, id, cmsgpack.pack(run))
  collect(writes.done, now_ms + run[RETENTION], id)
  if outcome ~= '' then collect(writes.results, id, outcome) end
end
