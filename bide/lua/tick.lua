-- Upkeep of one slot, for when no worker does it: promote, reap, end, prune, forget dead workers,
-- and ring whoever listens.
-- Transition: scheduled -> ready, retrying -> ready, waiting -> ready, running -> ready,
--   running -> failed, running -> cancelled, scheduled -> expired, ready -> expired,
--   scheduled -> failed, ready -> failed, waiting -> failed, retrying -> failed
-- KEYS[1] meta: counters `seq` and `fence`
-- KEYS[2] specs: what was submitted
-- KEYS[3] runs: how far it came
-- KEYS[4] ready: tasks to lease
-- KEYS[5] isolated: ready tasks that must not share a worker
-- KEYS[6] due: tasks that wait for their time
-- KEYS[7] leased: running tasks by the end of their lease
-- KEYS[8] done: finished tasks by the end of their retention
-- KEYS[9] ends: unfinished tasks by the time that ends them
-- KEYS[10] dead: failed tasks by when they failed
-- KEYS[11] log: every task, in order
-- KEYS[12] journal: what tasks have done
-- KEYS[13] inbox: events that were not read
-- KEYS[14] progress: what tasks say of themselves
-- KEYS[15] idempotency: submissions by their key
-- KEYS[16] uniques: who holds a unique value
-- KEYS[17] attempts: attempts that ended
-- KEYS[18] lines: tasks' logs
-- KEYS[19] revived: ids in `done` of tasks that were retried
-- KEYS[20] listeners: workers that block on the bell
-- KEYS[21] bell: doorbell tokens
-- KEYS[22] workers: when each worker was last heard of
-- KEYS[23] ledgers: what each worker's last exchange leased, and its free places
-- KEYS[24] signals: ids to cancel, by worker
-- KEYS[25] stats: totals
-- KEYS[26] starting: workers that were started
-- KEYS[27] decisions: what was decided, and why
-- KEYS[28] series: what tasks do, minute by minute
-- ARGV[1] now_ms: the server's time
-- ARGV[2] forget_ms: how long a silent worker's rows are kept
-- ARGV[3] epoch: of the autoscaler that asks
-- ARGV[4] places: of each worker, for tasks of this queue
-- ARGV[5] most: workers that may be
-- ARGV[6] afresh: 1 to count no longer on workers that were started before
-- ARGV[7] recording: 1 when attempts and series are to know of it
-- Returns: {promoted, reaped, pruned, ready, listeners, next due time in ms (or -1, of a paused queue, too), alarm
--   to set in ms or 0, workers that may lease, places free on them, workers that start, bulk operations that are
--   running, what it moved (id, event, state, attempt, worker, name; ...)}; 100 of any of the first three: call
--   again
-- Errors: SUPERSEDED (a later autoscaler was here; nothing was done)
-- When full: goes on
-- Fence: the epoch; reaping moves the tasks' fence on
-- Cost: 22 commands and about 7 per task, batched; at most 100 of each kind
local meta, specs, runs, ready, isolated = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local due, leased, done, ends, dead = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local log, journal, inbox, progress, idempotency = KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local uniques, attempts, lines, revived, listeners = KEYS[16], KEYS[17], KEYS[18], KEYS[19], KEYS[20]
local bell, workers, ledgers, signals, stats = KEYS[21], KEYS[22], KEYS[23], KEYS[24], KEYS[25]
local starting, decisions, series = KEYS[26], KEYS[27], KEYS[28]
--- include _run
--- include _done
--- include _writes
--- include _journal
--- include _attempts
--- include _moves
--- include _series
--- include _unread
--- include _finish
--- include _line
--- include _ready
--- include _promote
--- include _reap
--- include _end
--- include _log
--- include _lines
--- include _erase
--- include _prune
--- include _ring
--- include _awake
--- include _fleet
local now_ms, epoch = tonumber(ARGV[1]), tonumber(ARGV[3])
recording = ARGV[7] == '1'
local known = tonumber(redis.call('HGET', meta, 'tick_epoch') or 0)
if known > epoch then return { 'SUPERSEDED' } end
if known < epoch then redis.call('HSET', meta, 'tick_epoch', epoch) end
local pruned = prune(now_ms, 100) -- first, as it makes room for what follows
local promoted = promote(now_ms, 100)
local reaped, holders, taken = reap(now_ms, 100)
end_overdue(now_ms, 100)
write_series(now_ms)

redis.call('ZREMRANGEBYSCORE', listeners, '-inf', '(' .. now_ms)
local seen = see(now_ms)
local has_changed = discount(holders, seen, taken) -- whoever let leases run out
local silent = redis.call('ZRANGE', workers, '-inf', now_ms - tonumber(ARGV[2]), 'BYSCORE', 'LIMIT', 0, 100)
if #silent > 0 then
  has_changed = discount(silent, seen) or has_changed -- no look may have come by since they were heard of
  redis.call('ZREM', workers, unpack(silent))
  redis.call('HDEL', ledgers, unpack(silent))
  redis.call('HDEL', signals, unpack(silent))
end
if ARGV[6] == '1' and seen.starting > 0 then
  redis.call('ZREMRANGEBYSCORE', starting, '-inf', '+inf')
  seen.starting, has_changed = 0, true
end
if discount_silent(now_ms, seen) or has_changed then note_fleet(seen, tonumber(ARGV[4]), tonumber(ARGV[5])) end
local listening = seen.ready > 0 and ring(now_ms, seen.ready) or 0
local next_ms = seen.is_paused and -1 or earliest({ due, leased, ends }) -- nobody shall wake for it
return {
  promoted, reaped, pruned, seen.ready, listening, next_ms, alarm_needed(now_ms, next_ms), seen.admitted,
  seen.free, seen.starting, tonumber(redis.call('HGET', meta, 'operating') or 0), moves_made(),
}
