-- The fleet of one slot: the workers that may lease, their free places, and those that start.
-- `meta` keeps the sums: `admitted` workers, `free` places on them, and `covered`: up to which place of the
-- line the ready tasks have a worker, which can be relied on until `covered_ms`. So a submission learns from
-- fields that it reads in any case whether anybody has to be started.
-- Uses: _awake, meta, ready, isolated, workers, ledgers, starting, decisions.
local START_MS = 10000 -- how long a worker that was started may take until it is heard of
local DECISIONS = 100 -- how many are kept
local ENOUGH = 1000000000 -- places, where nobody else may be started: no submission need ask
local FOREVER_MS = 1000000000000000 -- later than any time that is told

--- include _ledger

-- What there is: workers that may lease, places free on them, workers that start, and tasks that are ready
-- (`line` of them to anybody). Of a paused queue none counts as ready: so nobody is started, rung or kept for it.
local function see(now_ms)
  local sums = redis.call('HMGET', meta, 'admitted', 'free', 'seq', 'awake_ms', 'paused')
  local seen = {
    admitted = tonumber(sums[1] or 0), free = tonumber(sums[2] or 0), seq = tonumber(sums[3] or 0),
    awake_ms = tonumber(sums[4] or 0), starting = redis.call('ZCARD', starting), line = 0, ready = 0,
    is_paused = sums[5] ~= false,
  }
  if not seen.is_paused then
    seen.line = redis.call('ZCARD', ready)
    seen.ready = seen.line + redis.call('ZCARD', isolated)
  end
  if seen.starting > 0 then
    seen.starting = seen.starting - redis.call('ZREMRANGEBYSCORE', starting, '-inf', '(' .. now_ms - START_MS)
  end
  return seen
end

-- Keeps the sums, and how far they reach. places: of each worker. most: workers that may be.
local function note_fleet(seen, places, most)
  local reach, until_ms = seen.free + seen.starting * places - seen.ready, 0
  if seen.is_paused or seen.admitted + seen.starting >= most then reach = ENOUGH end
  if seen.is_paused then
    until_ms = FOREVER_MS
  elseif seen.starting > 0 then
    until_ms = tonumber(redis.call('ZRANGE', starting, 0, 0, 'WITHSCORES')[2]) + START_MS
  elseif seen.admitted > 0 then
    until_ms = seen.awake_ms + AWAKE_MS
  end
  redis.call('HSET', meta, 'admitted', seen.admitted, 'free', seen.free, 'awake_ms', seen.awake_ms,
    'covered', seen.seq + reach, 'covered_ms', until_ms)
end

-- Counts no longer on these workers, until they are heard of again; returns whether it had on any.
-- taken: how many tasks were taken from each, by its name, if any were.
local function discount(names, seen, taken)
  if #names == 0 then return false end
  local found = false
  for i, packed in ipairs(redis.call('HMGET', ledgers, unpack(names))) do
    local ledger = packed and cmsgpack.unpack(packed)
    local counted = ledger and ledger[ADMITTED] == 1
    if counted then
      seen.admitted, seen.free = seen.admitted - 1, seen.free - ledger[FREE]
      ledger[FREE], ledger[ADMITTED] = 0, 0
      found = true
    end
    if taken and ledger then ledger[TASKS] = math.max(0, ledger[TASKS] - taken[names[i]]) end
    if counted or (taken and ledger) then redis.call('HSET', ledgers, names[i], cmsgpack.pack(ledger)) end
  end
  return found
end

-- The same of workers that have been silent for too long.
local function discount_silent(now_ms, seen)
  local silent_ms = '(' .. now_ms - AWAKE_MS
  return discount(redis.call('ZRANGE', workers, silent_ms, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, 100), seen)
end

-- Keeps what was decided, and why: `count` workers to start, or -1 for one that leaves.
local function record(now_ms, reason, count, seen)
  redis.call('LPUSH', decisions,
    cmsgpack.pack({ now_ms, reason, count, seen.ready, seen.admitted, seen.free, seen.starting }))
  redis.call('LTRIM', decisions, 0, DECISIONS - 1)
end

-- Counts on workers that the caller starts now, as many of `wanted` as may be; returns how many.
local function note_starts(now_ms, reason, wanted, most, seen)
  local count = math.max(0, math.min(wanted, most - seen.admitted - seen.starting, 100))
  if count == 0 then return 0 end
  for i = 1, count do
    redis.call('ZADD', starting, now_ms, now_ms .. '/' .. seen.seq .. '/' .. seen.starting + i)
  end
  record(now_ms, reason, count, seen)
  seen.starting = seen.starting + count
  return count
end

-- Workers that the ready tasks lack so that each gets a place, whatever is allowed; negative when places
-- will be left over.
local function lacking(seen, places)
  return math.ceil((seen.ready - seen.free - seen.starting * places) / places)
end

-- The doorbell: returns how many workers to start; `missing` in bide/autoscaler.py says the same.
local function summon(now_ms, reason, seen, places, most)
  if seen.ready > 0 and seen.free > 0 and lacking(seen, places) <= 0 then discount_silent(now_ms, seen) end
  local count = note_starts(now_ms, reason, lacking(seen, places), most, seen)
  note_fleet(seen, places, most)
  return count
end
