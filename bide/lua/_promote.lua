-- Makes ready what has become due.
-- Transition: scheduled -> ready, retrying -> ready, waiting -> ready
-- Uses: _run, _writes, _ready, meta, runs, due, isolated.
local function promote(now_ms, limit)
  local ids = redis.call('ZRANGE', due, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, limit)
  if #ids == 0 then return 0 end
  redis.call('ZREM', due, unpack(ids))
  local records = redis.call('HMGET', runs, unpack(ids))
  local seq = redis.call('HINCRBY', meta, 'seq', #ids) - #ids
  for i, id in ipairs(ids) do
    line_up(id, cmsgpack.unpack(records[i]), seq + i, now_ms)
  end
  flush()
  return #ids
end
