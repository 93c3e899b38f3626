-- Pauses a queue, or resumes it. A paused one accepts tasks, and keeps them: none is leased, nobody is rung,
-- started or woken for them. What runs goes on.
-- Transition: none
-- KEYS[1] meta: the flag, and sums of the fleet
-- KEYS[2] ready: tasks to lease
-- KEYS[3] isolated: ready tasks that must not share a worker
-- KEYS[4] due: tasks that wait for their time
-- KEYS[5] leased: running tasks by the end of their lease
-- KEYS[6] ends: unfinished tasks by the time that ends them
-- KEYS[7] listeners: workers that block on the bell
-- KEYS[8] bell: doorbell tokens
-- KEYS[9] workers: when each worker was last heard of
-- KEYS[10] ledgers: what the fleet counts on each worker for
-- KEYS[11] starting: workers that were started
-- KEYS[12] decisions: what was decided, and why
-- ARGV[1] now_ms: the server's time
-- ARGV[2] paused: 1 to pause, 0 to resume
-- ARGV[3] places: of each worker, for tasks of this queue
-- ARGV[4] most: workers that may be
-- Returns: {workers to start, alarm to set in ms or 0}
-- Errors: none
-- When full: goes on
-- Fence: none; the same wish again changes nothing
-- Cost: 18 commands
local meta, ready, isolated, due, leased, ends = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local listeners, bell, workers, ledgers = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local starting, decisions = KEYS[11], KEYS[12]
--- include _ring
--- include _awake
--- include _fleet
local now_ms, places, most = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
if ARGV[2] == '1' then
  redis.call('HSET', meta, 'paused', '1')
  note_fleet(see(now_ms), places, most)
  return { 0, 0 }
end
redis.call('HDEL', meta, 'paused')
local seen = see(now_ms)
-- Whoever listens was told of nothing to come back for: one has to hear of what will be due.
ring(now_ms, math.max(seen.ready, redis.call('ZCARD', due) > 0 and 1 or 0))
local wanted = summon(now_ms, 'resumed', seen, places, most)
return { wanted, alarm_needed(now_ms, earliest({ due, leased, ends })) }
