-- Counts on workers that the caller is about to start: those that the autoscaler wants, and the successor
-- of a worker whose time is up, unless its queue is paused: what it leaves behind can wait.
-- Transition: none
-- KEYS[1] meta: sums of the fleet
-- KEYS[2] ready: tasks to lease
-- KEYS[3] isolated: ready tasks that must not share a worker
-- KEYS[4] workers: when each worker was last heard of
-- KEYS[5] ledgers: what the fleet counts on each worker for
-- KEYS[6] starting: workers that were started
-- KEYS[7] decisions: what was decided, and why
-- ARGV[1] now_ms: the server's time
-- ARGV[2] reason: why they are started
-- ARGV[3] wanted: how many
-- ARGV[4] epoch: of the autoscaler that wants them; 0 for a successor
-- ARGV[5] places: of each worker, for tasks of this queue
-- ARGV[6] most: workers that may be
-- Returns: how many to start; fewer than wanted where `most` is reached, and no successor in a paused queue
-- Errors: SUPERSEDED (a later autoscaler was here; nothing was done)
-- When full: goes on
-- Fence: the epoch
-- Cost: 10 commands
local meta, ready, isolated, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ledgers, starting, decisions = KEYS[5], KEYS[6], KEYS[7]
--- include _awake
--- include _fleet
local now_ms, epoch, places, most = tonumber(ARGV[1]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if epoch > 0 and tonumber(redis.call('HGET', meta, 'tick_epoch') or 0) > epoch then return { 'SUPERSEDED' } end
local seen = see(now_ms)
if epoch == 0 and seen.is_paused then return 0 end
local count = note_starts(now_ms, ARGV[2], tonumber(ARGV[3]), most, seen)
note_fleet(seen, places, most)
return count
