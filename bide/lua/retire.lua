-- Lets a worker leave, unless there is work for it: between a submission and an exit no
-- wake-up is lost. The last to leave learns for when to set the alarm.
-- Transition: none
-- KEYS[1] meta: the alarm, and sums of the fleet
-- KEYS[2] ready: tasks to lease
-- KEYS[3] isolated: ready tasks that must not share a worker
-- KEYS[4] due: tasks that wait for their time
-- KEYS[5] leased: running tasks by the end of their lease
-- KEYS[6] ends: unfinished tasks by the time that ends them
-- KEYS[7] listeners: workers that block on the bell
-- KEYS[8] bell: doorbell tokens
-- KEYS[9] workers: when each worker was last heard of
-- KEYS[10] ledgers: what each worker's last exchange leased
-- KEYS[11] signals: ids to cancel, by worker
-- KEYS[12] stats: sums by day
-- KEYS[13] starting: workers that were started
-- KEYS[14] decisions: what was decided, and why
-- ARGV[1] now_ms: the server's time
-- ARGV[2] worker: who leaves
-- ARGV[3] window_ms: work due within this keeps it, unless others have places for it
-- ARGV[4] forced: 1 when it leaves in any case
-- ARGV[5] lived_ms: what the worker has lived since it last said so
-- ARGV[6] reason: why it leaves
-- ARGV[7] least: workers that must be left, unless it is forced
-- ARGV[8] places: of each worker, for tasks of this queue
-- ARGV[9] most: workers that may be
-- Returns: {1 when it may leave or 0 when it must stay, workers to start, alarm to set in ms or 0}
-- Errors: none
-- When full: goes on
-- Fence: none; a worker settles or hands back its leases first
-- Cost: 27 commands; with a new day one per sum of the day that is folded
local meta, ready, isolated, due, leased, ends = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local listeners, bell, workers, ledgers, signals = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local stats, starting, decisions = KEYS[12], KEYS[13], KEYS[14]
--- include _ring
--- include _awake
--- include _fleet
--- include _presence
--- include _stats
local now_ms, worker = tonumber(ARGV[1]), ARGV[2]
local packed, seen = redis.call('HGET', ledgers, worker), see(now_ms)
local ledger = packed and cmsgpack.unpack(packed)
if ARGV[4] ~= '1' then
  local others, elsewhere = seen.admitted, seen.free
  if ledger and ledger[ADMITTED] == 1 then others, elsewhere = others - 1, elsewhere - ledger[FREE] end
  local soon = seen.is_paused and 0 or redis.call('ZCOUNT', due, '-inf', now_ms + tonumber(ARGV[3]))
  local is_wanted = seen.ready > 0 or soon > elsewhere or others < tonumber(ARGV[7])
  if is_wanted and others < tonumber(ARGV[9]) then return { 0, 0, 0 } end
end
local was_there = note_leaving(now_ms, worker, ledger, seen)
redis.call('ZREM', listeners, worker)
redis.call('HDEL', ledgers, worker)
redis.call('HDEL', signals, worker)
if was_there and tonumber(ARGV[5]) > 0 then add_to_day(now_ms, { worker_ms = tonumber(ARGV[5]) }) end
-- The token that this worker took with it may have been meant for another. And of what it has parked for later,
-- who sleeps until the due time that it knows has to hear; in the end, as it listens itself until then.
local next_ms = earliest({ due, leased, ends })
ring(now_ms, math.max(seen.ready, ARGV[4] == '1' and next_ms >= 0 and 1 or 0))
if was_there then record(now_ms, ARGV[6], -1, seen) end
local wanted = summon(now_ms, 'left behind', seen, tonumber(ARGV[8]), tonumber(ARGV[9]))
return { 1, wanted, alarm_needed(now_ms, next_ms) }
