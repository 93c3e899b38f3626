-- Sums of a slot by day (UTC), so that a total and a day's share of it are one write. A day is one
-- field `d<days since 1970>`: a packed map of sums. What older days came to is in a plain field a
-- sum; a total is the two together.
-- Uses: stats.
local DAY_MS, KEPT_DAYS = 86400000, 31

-- Moves the days before the last 31 into the plain fields. There are at most 32 days at a time:
-- this runs before each new one.
local function fold_days(today)
  local old, days = {}, {}
  local fields = redis.call('HGETALL', stats)
  for i = 1, #fields, 2 do
    local day = tonumber(string.match(fields[i], '^d(%d+)$') or today)
    if day <= today - KEPT_DAYS then
      days[#days + 1] = fields[i]
      for total, n in pairs(cmsgpack.unpack(fields[i + 1])) do old[total] = (old[total] or 0) + n end
    end
  end
  if #days == 0 then return end
  for total, n in pairs(old) do redis.call('HINCRBY', stats, total, n) end
  redis.call('HDEL', stats, unpack(days))
end

-- counts: what to add to which sums; none may be 0.
local function add_to_day(now_ms, counts)
  if next(counts) == nil then return end
  local today = math.floor(now_ms / DAY_MS)
  local field = 'd' .. today
  local packed = redis.call('HGET', stats, field)
  if not packed then fold_days(today) end
  local sums = packed and cmsgpack.unpack(packed) or {}
  for total, n in pairs(counts) do sums[total] = (sums[total] or 0) + n end
  redis.call('HSET', stats, field, cmsgpack.pack(sums))
end

-- Gauges: how many tasks of the slot are in a state now, in the field `now/<state>`. `ready` and `running`
-- have indexes that tell; `now/~ready` and `now/~running` are pollers in those.
local function add_to_gauge(gauges, state, n)
  if state ~= 'ready' and state ~= 'running' then gauges[state] = (gauges[state] or 0) + n end
end

local function add_to_gauges(gauges)
  for state, n in pairs(gauges) do
    if n ~= 0 then redis.call('HINCRBY', stats, 'now/' .. state, n) end
  end
end
