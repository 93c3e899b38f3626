-- Closes or opens the server: the flag, its epoch, and the slots that have yet to hear of it.
-- Transition: none
-- KEYS[1] state: the server's flag, epoch, reason
-- KEYS[2] slots: every registered slot
-- ARGV[1] now_ms: the server's time
-- ARGV[2] accepting: 1 or 0
-- ARGV[3] reason: why it is closed; empty when open
-- ARGV[4] retry_after: seconds that clients should wait, 0 for no hint
-- ARGV[5] newest: highest epoch that a slot is known to hold, 0 for none
-- Returns: {epoch, slots}; the same wish again keeps its epoch
-- Errors: none
-- When full: goes on
-- Fence: none; slots take only epochs that are not older than theirs
-- Cost: 3 commands
local state, slots = KEYS[1], KEYS[2]
local old = redis.call('HMGET', state, 'accepting', 'reason', 'retry_after', 'epoch')
local epoch, newest = tonumber(old[4] or 0), tonumber(ARGV[5])
if epoch < newest or old[1] ~= ARGV[2] or old[2] ~= ARGV[3] or old[3] ~= ARGV[4] then
  epoch = math.max(epoch, newest) + 1
  redis.call('HSET', state, 'accepting', ARGV[2], 'reason', ARGV[3], 'retry_after', ARGV[4],
    'epoch', epoch, 'changed_ms', ARGV[1])
end
return { epoch, redis.call('SMEMBERS', slots) }
