-- Ends tasks whose time is up: not started by `expires`, or not finished by their deadline.
-- A running one is ended by its worker; it is looked at again, in case that worker dies.
-- Transition: scheduled -> expired, ready -> expired, scheduled -> failed, ready -> failed,
--   waiting -> failed, retrying -> failed, waiting -> ready, retrying -> ready
-- Uses: _run, _writes, _moves, _finish, _exits, ready, isolated, due, ends.
local AGAIN_MS = 5000
local DEADLINE_EXCEEDED = cjson.encode({
  code = 'DEADLINE_EXCEEDED',
  message = 'The task was not finished by its deadline.',
})

local function end_overdue(now_ms, limit)
  local ids = redis.call('ZRANGE', ends, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, limit)
  if #ids == 0 then return 0 end
  for i, run in ipairs(load_runs(ids)) do
    local id, before = ids[i], run[STATE]
    local is_late = run[DEADLINE] > 0 and run[DEADLINE] <= now_ms
    if run[STATE] == 'running' or (run[STARTED] > 0 and not is_late) then
      collect(writes.unended, id)
      if run[DEADLINE] > 0 then collect(writes.ends, is_late and now_ms + AGAIN_MS or run[DEADLINE], id) end
    else
      redis.call('ZREM', ready, id)
      redis.call('ZREM', isolated, id)
      redis.call('ZREM', due, id)
      if run[STARTED] == 0 and not is_late then
        finish(id, run, 'expired', '', now_ms, name_of(id))
      else
        end_task(id, run, 'failed', DEADLINE_EXCEEDED, now_ms, name_of(id))
      end
      if run[STATE] ~= before then note_move(id, run, run[STATE] == 'ready' and 'promoted' or run[STATE]) end
    end
  end
  flush()
  return #ids
end
