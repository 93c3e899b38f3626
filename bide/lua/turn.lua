-- Begins a turn of the autoscaler; whoever began an earlier one has no say any more.
-- Transition: none
-- KEYS[1] epochs: of the autoscaler
-- ARGV[1] now_ms: the server's time
-- Returns: the turn's epoch; it grows, also past those of a record that was lost
-- Errors: none
-- When full: goes on
-- Fence: the epoch
-- Cost: 2 commands
local epochs = KEYS[1]
local epoch = math.max(tonumber(redis.call('HGET', epochs, 'tick') or 0) + 1, tonumber(ARGV[1]))
redis.call('HSET', epochs, 'tick', epoch)
return epoch
