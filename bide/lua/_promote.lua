-- Makes ready what has become due.
-- Transition: scheduled -> ready, retrying -> ready, waiting -> ready
-- Uses: _run, _writes, _moves, _ready, meta, due, isolated.
local function promote(now_ms, limit)
  local ids = redis.call('ZRANGE', due, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, limit)
  if #ids == 0 then return 0 end
  redis.call('ZREM', due, unpack(ids))
  local seq = redis.call('HINCRBY', meta, 'seq', #ids) - #ids
  for i, run in ipairs(load_runs(ids)) do
    line_up(ids[i], run, seq + i, now_ms)
    note_move(ids[i], run, 'promoted')
  end
  flush()
  return #ids
end
