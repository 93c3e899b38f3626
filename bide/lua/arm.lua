-- Records that an alarm has been set, so that no other is set for the same time or a later one.
-- Transition: none
-- KEYS[1] meta: the slot's flags and counters
-- ARGV[1] now_ms: the server's time
-- ARGV[2] alarm_ms: when it goes off
-- Returns: when the earliest alarm that is set goes off
-- Errors: none
-- When full: goes on
-- Fence: none; one alarm too many is harmless
-- Cost: 2 commands
local meta, now_ms, alarm_ms = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local armed_ms = tonumber(redis.call('HGET', meta, 'armed_ms') or 0)
if armed_ms > now_ms and armed_ms <= alarm_ms then return armed_ms end
redis.call('HSET', meta, 'armed_ms', alarm_ms)
return alarm_ms
