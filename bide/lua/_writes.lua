-- Collects the writes of one step, so that a hundred records cost a handful of commands.
-- Uses: runs, results, ready, due, leased, done.
local writes = { runs = {}, results = {}, ready = {}, due = {}, done = {}, leased = {}, unleased = {} }

local function collect(list, first, second)
  list[#list + 1] = first
  if second ~= nil then list[#list + 1] = second end
end

local function flush_one(command, key, list)
  if #list > 0 then redis.call(command, key, unpack(list)) end
end

local function flush()
  flush_one('HSET', runs, writes.runs)
  flush_one('HSET', results, writes.results)
  flush_one('ZADD', ready, writes.ready)
  flush_one('ZADD', due, writes.due)
  flush_one('ZADD', done, writes.done)
  flush_one('ZREM', leased, writes.unleased)
  flush_one('ZADD', leased, writes.leased)
  writes = { runs = {}, results = {}, ready = {}, due = {}, done = {}, leased = {}, unleased = {} }
end
