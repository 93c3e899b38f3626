-- Makes a slot known to the server, and returns the gate it has to apply. Registering comes
-- before reading the gate: a close that does not see the slot is seen by the slot.
-- Transition: none
-- KEYS[1] state: the server's flag, epoch, reason
-- KEYS[2] slots: every registered slot
-- ARGV[1] now_ms: the server's time
-- ARGV[2] slot: its name
-- Returns: {accepting, reason, retry_after, epoch}; a server never told otherwise is open
-- Errors: none
-- When full: refused
-- Fence: none
-- Cost: 3 commands
local state, slots = KEYS[1], KEYS[2]
redis.call('SADD', slots, ARGV[2])
if redis.call('EXISTS', state) == 0 then
  redis.call('HSET', state, 'accepting', '1', 'reason', '', 'retry_after', '0', 'epoch', 1, 'changed_ms', ARGV[1])
end
return redis.call('HMGET', state, 'accepting', 'reason', 'retry_after', 'epoch')
