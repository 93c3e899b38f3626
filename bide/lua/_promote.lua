-- Makes ready what has become due.
-- Transition: scheduled -> ready, retrying -> ready
-- Uses: _run, _writes, meta, runs, due.
local function promote(now_ms, limit)
  local ids = redis.call('ZRANGE', due, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, limit)
  if #ids == 0 then return 0 end
  redis.call('ZREM', due, unpack(ids))
  local records = redis.call('HMGET', runs, unpack(ids))
  local seq = redis.call('HINCRBY', meta, 'seq', #ids) - #ids
  for i, id in ipairs(ids) do
    local run = cmsgpack.unpack(records[i])
    run[STATE], run[DUE] = 'ready', 0
    collect(writes.runs, id, cmsgpack.pack(run))
    collect(writes.ready, seq + i, id)
  end
  flush()
  return #ids
end
