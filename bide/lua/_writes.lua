-- Collects the writes of one step, so that a hundred records cost a handful of commands.
-- Uses: _run, runs, ready, due, leased, ends, journal, inbox, stats.
--- include _stats
local function no_writes()
  return {
    runs = {}, ready = {}, due = {}, undue = {}, leased = {}, unleased = {}, ends = {}, unended = {},
    journal = {}, unjournal = {}, uninbox = {}, stats = {}, gauges = {},
  }
end
local writes = no_writes()
local recording = true -- attempts and series; false where the caller says so
local also = {} -- what an include has to do with each flush

local function collect(list, first, second)
  list[#list + 1] = first
  if second ~= nil then list[#list + 1] = second end
end

local function keep(id, run) collect(writes.runs, id, pack_run(run)) end

-- Adds to one of the slot's totals.
local function count(total, n)
  if n ~= 0 then writes.stats[total] = (writes.stats[total] or 0) + n end
end

-- Moves a task to a state, and keeps how many are there. Those that are ready or running are told by
-- their indexes; a poller is no task, but stands in these, and is counted there apart.
local POLLERS = { ready = '~ready', running = '~running' }
local function enter(run, state)
  if run[MAX_ATTEMPTS] > 0 then
    add_to_gauge(writes.gauges, run[STATE], -1)
    add_to_gauge(writes.gauges, state, 1)
  else
    if POLLERS[run[STATE]] then add_to_gauge(writes.gauges, POLLERS[run[STATE]], -1) end
    if POLLERS[state] then add_to_gauge(writes.gauges, POLLERS[state], 1) end
  end
  run[STATE] = state
end

-- `unpack` takes some 8,000 values; journals may have more.
local function flush_one(command, key, list)
  for first = 1, #list, 4000 do
    redis.call(command, key, unpack(list, first, math.min(#list, first + 3999)))
  end
end

local function flush()
  flush_one('HSET', runs, writes.runs)
  flush_one('ZADD', ready, writes.ready)
  flush_one('ZADD', due, writes.due)
  flush_one('ZREM', due, writes.undue) -- parked and made ready by one exchange
  flush_one('ZREM', leased, writes.unleased)
  flush_one('ZADD', leased, writes.leased)
  flush_one('ZREM', ends, writes.unended)
  flush_one('ZADD', ends, writes.ends)
  flush_one('HSET', journal, writes.journal)
  flush_one('HDEL', journal, writes.unjournal) -- written and finished by one exchange
  flush_one('HDEL', inbox, writes.uninbox)
  add_to_day(tonumber(ARGV[1]), writes.stats) -- the store's time, in every script
  add_to_gauges(writes.gauges)
  writes = no_writes()
  for _, flush_more in ipairs(also) do flush_more() end
end
