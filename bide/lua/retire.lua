-- Lets a worker leave, unless there is work for it: between a submission and an exit no
-- wake-up is lost.
-- Transition: none
-- KEYS[1] ready: tasks to lease
-- KEYS[2] isolated: ready tasks that must not share a worker
-- KEYS[3] due: tasks that wait for their time
-- KEYS[4] listeners: workers that block on the bell
-- KEYS[5] bell: doorbell tokens
-- KEYS[6] workers: when each worker was last heard of
-- KEYS[7] ledgers: what each worker's last exchange leased
-- KEYS[8] signals: ids to cancel, by worker
-- ARGV[1] now_ms: the server's time
-- ARGV[2] worker: who leaves
-- ARGV[3] window_ms: work due within this keeps it
-- ARGV[4] forced: 1 when it leaves in any case
-- Returns: 1 when it may leave, 0 when it must stay
-- Errors: none
-- Fence: none; a worker settles or hands back its leases first
-- Cost: 8 commands
local ready, isolated, due, listeners = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local bell, workers, ledgers, signals = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
--- include _ring
local now_ms, worker = tonumber(ARGV[1]), ARGV[2]
local waiting = redis.call('ZCARD', ready) + redis.call('ZCARD', isolated)
if ARGV[4] ~= '1' then
  local soon = redis.call('ZCOUNT', due, '-inf', now_ms + tonumber(ARGV[3]))
  if waiting + soon > 0 then return 0 end
end
redis.call('ZREM', listeners, worker)
redis.call('ZREM', workers, worker)
redis.call('HDEL', ledgers, worker)
redis.call('HDEL', signals, worker)
-- The token that this worker took with it may have been meant for another.
if waiting > 0 then ring(now_ms, waiting) end
return 1
