-- Copies the server's gate into a slot, where `submit` reads it.
-- Transition: none
-- KEYS[1] meta: the slot's flags and counters
-- ARGV[1] accepting: 1 or 0
-- ARGV[2] reason: why it is closed; empty when open
-- ARGV[3] retry_after: seconds, 0 for no hint
-- ARGV[4] epoch: of the gate
-- Returns: the slot's epoch: the one given when it was applied, else the newer one it has
-- Errors: none
-- When full: goes on
-- Fence: the epoch; an older one changes nothing
-- Cost: 2 commands
local meta = KEYS[1]
local known = tonumber(redis.call('HGET', meta, 'epoch') or 0)
if known > tonumber(ARGV[4]) then return known end
redis.call('HSET', meta, 'accepting', ARGV[1], 'reason', ARGV[2], 'retry_after', ARGV[3], 'epoch', ARGV[4])
return tonumber(ARGV[4])
