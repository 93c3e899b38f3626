-- A tenant's rate in a queue: the generic cell rate algorithm, with one second of burst. Submissions and events
-- share it.
-- Uses: meta.

-- Takes one turn of those that a tenant has a second. field: the tenant's, of `meta`. Returns how many turns are
-- left at once; or nil, and in how many ms there is one again, and takes nothing.
local function take_turn(field, per_second, now_ms)
  local interval_ms = 1000 / per_second
  local known_ms = tonumber(redis.call('HGET', meta, field) or 0)
  -- It is ahead by a second, and by what readings differ; by more, where the store's clock was set back since.
  if known_ms > now_ms + 3000 then known_ms = 0 end
  local arrival_ms = math.max(known_ms, now_ms) + interval_ms
  local over_ms = arrival_ms - now_ms - 1000
  if over_ms > 0.001 then return nil, math.ceil(over_ms) end
  redis.call('HSET', meta, field, string.format('%.3f', arrival_ms))
  return math.floor(-over_ms / interval_ms + 0.001)
end
