-- The end of a task that may have asked for something to be run then (`on_exit`). Only its code, replayed, can tell
-- what: so it is leased once more for that, whoever had it before, and ends afterwards as was decided.
-- Such leases are few (EXIT_TRIES in _ready), lest code that kills its workers goes on for ever.
-- Transition: waiting -> ready, retrying -> ready
-- Uses: _run, _writes, _attempts, _finish, _ready, meta.

-- state, outcome and name: as `finish` takes them. What was decided before stands. The caller takes the task out of
-- the indexes that it stands in.
local function end_task(id, run, state, outcome, now_ms, name)
  if run[ENDING] ~= '' then state, outcome = run[ENDING], '' end
  if run[EXITS] == 0 then return finish(id, run, state, outcome, now_ms, name) end
  close_attempt(id, run, state, outcome, now_ms)
  run[ENDING], run[RESUMES], run[CANCELLING] = state, 1, 0
  if outcome ~= '' then run[OUTCOME] = outcome end
  if run[EXPIRES] + run[DEADLINE] > 0 then collect(writes.unended, id) end
  line_up(id, run, redis.call('HINCRBY', meta, 'seq', 1), now_ms)
end
