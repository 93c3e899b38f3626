-- Forgets finished tasks whose retention has ended.
-- Uses: specs, runs, results, progress, done, idempotency.
local SPEC_IDEMPOTENCY = 5

local function prune(now_ms, limit)
  local ids = redis.call('ZRANGE', done, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, limit)
  if #ids == 0 then return 0 end
  for _, spec in ipairs(redis.call('HMGET', specs, unpack(ids))) do
    local field = spec and cmsgpack.unpack(spec)[SPEC_IDEMPOTENCY] or ''
    if field ~= '' then redis.call('HDEL', idempotency, field) end
  end
  redis.call('HDEL', specs, unpack(ids))
  redis.call('HDEL', runs, unpack(ids))
  redis.call('HDEL', results, unpack(ids))
  redis.call('HDEL', progress, unpack(ids))
  redis.call('ZREM', done, unpack(ids))
  return #ids
end
