-- What tasks do, minute by minute: a field `m<minutes since 1970>` of `series` is a packed map from a task's
-- name to `Counts` in bide/series.py, its durations in the buckets of bide/histogram.py. And how long the last
-- tasks of a name took that succeeded: `r<name>` is a packed list of milliseconds, the latest last.
-- What a script has to tell is collected, and written at its end.
-- Uses: _writes, series.
local MINUTE_MS, KEPT_MINUTES, MOST_NAMES = 60000, 1440, 64
local MOST_DURATIONS = 32 -- that are kept of a name
local TAKEN_DURATIONS, TAKEN_NAMES = 8, 16 -- that one call adds: of each name, and to how many names
local OUTCOMES = { succeeded = 1, failed = 2, cancelled = 3, expired = 4 }
local START_DELAYS, RUN_TIMES = 5, 6
local counted, durations, taken_names = {}, {}, 0

-- An empty histogram has a bucket with nothing in it: an empty table would be packed as a list.
local function counts_of(by_name, name)
  by_name[name] = by_name[name] or { 0, 0, 0, 0, { [2] = 0 }, { [2] = 0 } }
  return by_name[name]
end

local function add_duration(histogram, ms)
  local bucket = ms > 0 and 3 + math.floor(math.log(ms) * (4 / math.log(2))) or 2
  histogram[bucket] = (histogram[bucket] or 0) + 1
end

-- A task of this name started, so long after it could.
local function note_start(name, delay_ms)
  if recording then add_duration(counts_of(counted, name)[START_DELAYS], delay_ms) end
end

-- A task of this name ended in this state; took_ms: -1 when it had not started.
local function note_end(name, state, took_ms)
  if not recording then return end
  local counts, outcome = counts_of(counted, name), OUTCOMES[state]
  counts[outcome] = counts[outcome] + 1
  if took_ms < 0 then return end
  add_duration(counts[RUN_TIMES], took_ms)
  local taken = durations[name]
  if state ~= 'succeeded' or (not taken and taken_names == TAKEN_NAMES) then return end
  if not taken then durations[name], taken_names = { took_ms }, taken_names + 1
  elseif #taken < TAKEN_DURATIONS then taken[#taken + 1] = took_ms end
end

-- Adds what was counted to a minute. Of its names, those that come after the 64th are told together.
local function add_to_minute(by_name)
  local names = 0
  for _ in pairs(by_name) do names = names + 1 end
  for name, counts in pairs(counted) do
    local is_new = not by_name[name]
    local sums = counts_of(by_name, is_new and names >= MOST_NAMES and '*' or name)
    if is_new then names = names + 1 end
    for outcome = 1, 4 do sums[outcome] = sums[outcome] + counts[outcome] end
    for histogram = START_DELAYS, RUN_TIMES do
      for bucket, n in pairs(counts[histogram]) do
        sums[histogram][bucket] = (sums[histogram][bucket] or 0) + n
      end
    end
  end
  return by_name
end

-- Before the first write of a minute: the minutes that are older than a day go.
local function forget_minutes(minute)
  local old = {}
  for _, field in ipairs(redis.call('HKEYS', series)) do
    local of = string.match(field, '^m(%d+)$')
    if of and tonumber(of) <= minute - KEPT_MINUTES then old[#old + 1] = field end
  end
  if #old > 0 then redis.call('HDEL', series, unpack(old)) end
end

local function write_series(now_ms)
  if next(counted) == nil then return end
  local minute = math.floor(now_ms / MINUTE_MS)
  local fields, written = { 'm' .. minute }, {}
  for name in pairs(durations) do fields[#fields + 1] = 'r' .. name end
  local packed = redis.call('HMGET', series, unpack(fields))
  if not packed[1] then forget_minutes(minute) end
  written[1], written[2] = fields[1], cmsgpack.pack(add_to_minute(packed[1] and cmsgpack.unpack(packed[1]) or {}))
  for i = 2, #fields do
    local kept = packed[i] and cmsgpack.unpack(packed[i]) or {}
    for _, took_ms in ipairs(durations[string.sub(fields[i], 2)]) do kept[#kept + 1] = took_ms end
    while #kept > MOST_DURATIONS do table.remove(kept, 1) end
    written[#written + 1], written[#written + 2] = fields[i], cmsgpack.pack(kept)
  end
  redis.call('HSET', series, unpack(written))
end
