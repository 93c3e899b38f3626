-- Reads what the autoscaler sees of a queue, and what was decided lately.
-- Transition: none
-- KEYS[1] meta: sums of the fleet
-- KEYS[2] ready: tasks to lease
-- KEYS[3] isolated: ready tasks that must not share a worker
-- KEYS[4] workers: when each worker was last heard of
-- KEYS[5] ledgers: what the fleet counts on each worker for
-- KEYS[6] starting: workers that were started
-- KEYS[7] decisions: what was decided, and why
-- ARGV[1] now_ms: the server's time
-- Returns: {tasks ready, workers that may lease, places free on them, workers that start, decisions (the
--   latest first, each packed: time, reason, workers started or -1 for one that left, and what was seen)}
-- Errors: none
-- When full: reads
-- Fence: none; only starts that came to nothing are forgotten
-- Cost: 6 commands
local meta, ready, isolated, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ledgers, starting, decisions = KEYS[5], KEYS[6], KEYS[7]
--- include _awake
--- include _fleet
local seen = see(tonumber(ARGV[1]))
return { seen.ready, seen.admitted, seen.free, seen.starting, redis.call('LRANGE', decisions, 0, -1) }
