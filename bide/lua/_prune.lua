-- Forgets finished tasks whose retention has ended.
-- Uses: _done, _erase, specs, done, revived.

-- The ids on a shelf, but for those that left it: erased, or retried since.
local function still_there(members)
  local ids = {}
  for _, member in ipairs(members) do
    for first = 5, #member, 16 do ids[#ids + 1] = string.sub(member, first, first + 15) end
  end
  local left, values = {}, {}
  local again = redis.call('HMGET', revived, unpack(ids))
  for i, value in ipairs(redis.call('HMGET', specs, unpack(ids))) do
    if again[i] then
      if redis.call('HINCRBY', revived, ids[i], -1) == 0 then redis.call('HDEL', revived, ids[i]) end
    elseif value then
      left[#left + 1], values[#values + 1] = ids[i], value
    end
  end
  return left, values, #ids
end

-- Empties shelves whole, so that they may be a few more than `limit`. Returns how many ids it has looked at, and
-- no less than `limit` when there may be more.
local function prune(now_ms, limit)
  local most = math.ceil(limit / SHELF)
  local found = redis.call('ZRANGE', done, '-inf', now_ms + 0.75, 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
  if #found == 0 then return 0 end
  local shelves, members, gauges, looked = {}, {}, {}, 0
  for i = 1, #found, 2 do
    local state = ENDS[tonumber(found[i + 1]) % 1 * 4 + 1]
    shelves[state] = shelves[state] or {}
    members[#members + 1] = found[i]
    shelves[state][#shelves[state] + 1] = found[i]
  end
  for state, of_state in pairs(shelves) do
    local ids, values, there = still_there(of_state)
    erase(ids, values)
    add_to_gauge(gauges, state, -#ids)
    looked = looked + there
  end
  redis.call('ZREM', done, unpack(members))
  add_to_gauges(gauges)
  return #members == most and math.max(looked, limit) or looked
end
