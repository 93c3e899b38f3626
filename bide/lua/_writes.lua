-- Collects the writes of one step, so that a hundred records cost a handful of commands.
-- Uses: runs, results, ready, due, leased, done, ends, journal, inbox, stats.
--- include _stats
local function no_writes()
  return {
    runs = {}, results = {}, ready = {}, due = {}, undue = {}, done = {}, leased = {}, unleased = {}, ends = {},
    unended = {}, journal = {}, unjournal = {}, uninbox = {}, stats = {},
  }
end
local writes = no_writes()

local function collect(list, first, second)
  list[#list + 1] = first
  if second ~= nil then list[#list + 1] = second end
end

-- Adds to one of the slot's totals.
local function count(total, n)
  if n ~= 0 then writes.stats[total] = (writes.stats[total] or 0) + n end
end

-- `unpack` takes some 8,000 values; journals may have more.
local function flush_one(command, key, list)
  for first = 1, #list, 4000 do
    redis.call(command, key, unpack(list, first, math.min(#list, first + 3999)))
  end
end

local function flush()
  flush_one('HSET', runs, writes.runs)
  flush_one('HSET', results, writes.results)
  flush_one('ZADD', ready, writes.ready)
  flush_one('ZADD', due, writes.due)
  flush_one('ZREM', due, writes.undue) -- parked and made ready by one exchange
  flush_one('ZADD', done, writes.done)
  flush_one('ZREM', leased, writes.unleased)
  flush_one('ZADD', leased, writes.leased)
  flush_one('ZREM', ends, writes.unended)
  flush_one('ZADD', ends, writes.ends)
  flush_one('HSET', journal, writes.journal)
  flush_one('HDEL', journal, writes.unjournal) -- written and finished by one exchange
  flush_one('HDEL', inbox, writes.uninbox)
  add_to_day(tonumber(ARGV[1]), writes.stats) -- the store's time, in every script
  writes = no_writes()
end
