-- What a script moves by itself, or to another state than it was asked to: for the log of transitions.
-- Uses: _run, specs.
local moves, moved_ids = {}, {}

-- run: as it is now. worker: who held it, or nothing. name: the task's, if its spec will be gone.
local function note_move(id, run, event, worker, name)
  if run[MAX_ATTEMPTS] == 0 then return end -- a poller is no task
  local n = #moves
  moves[n + 1], moves[n + 2], moves[n + 3] = id, event, run[STATE]
  moves[n + 4], moves[n + 5], moves[n + 6] = run[ATTEMPT], worker or '', name or ''
  moved_ids[#moved_ids + 1] = id
end

-- Six values each: id, event, state, attempt, worker or '', name.
local function moves_made()
  for first = 1, #moved_ids, 20 do -- specs may be large
    local some = { unpack(moved_ids, first, math.min(#moved_ids, first + 19)) }
    for i, value in ipairs(redis.call('HMGET', specs, unpack(some))) do
      if value and moves[(first + i - 1) * 6] == '' then moves[(first + i - 1) * 6] = read_spec(value)[SPEC_NAME] end
    end
  end
  return moves
end
