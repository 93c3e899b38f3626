-- Copies the server's gate into a slot, where `submit` reads it.
-- Transition: none
-- KEYS[1] meta: the slot's flags and counters
-- ARGV[1] accepting: 1 or 0
-- ARGV[2] reason: why it is closed; empty when open
-- ARGV[3] retry_after: seconds, 0 for no hint
-- ARGV[4] epoch: of the gate
-- Returns: 1 when applied, 0 when the slot already knows a newer epoch
-- Errors: none
-- Fence: the epoch; an older one changes nothing
-- Cost: 2 commands
local meta = KEYS[1]
if tonumber(redis.call('HGET', meta, 'epoch') or 0) > tonumber(ARGV[4]) then return 0 end
redis.call('HSET', meta, 'accepting', ARGV[1], 'reason', ARGV[2], 'retry_after', ARGV[3], 'epoch', ARGV[4])
return 1
