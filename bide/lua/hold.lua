-- Takes one of the slots for requests that are held open (`Prefer: wait`).
-- Transition: none
-- KEYS[1] waits: held requests by the end of their hold
-- ARGV[1] now_ms: the server's time
-- ARGV[2] holder: names this request
-- ARGV[3] hold_ms: how long at most
-- ARGV[4] budget: how many may be held at once
-- Returns: 1 when held, 0 when the budget is spent
-- Errors: none
-- When full: goes on
-- Fence: none; a hold ends by itself
-- Cost: 4 commands
local waits, now_ms = KEYS[1], tonumber(ARGV[1])
redis.call('ZREMRANGEBYSCORE', waits, '-inf', now_ms)
local held = redis.call('ZSCORE', waits, ARGV[2])
if not held and redis.call('ZCARD', waits) >= tonumber(ARGV[4]) then return 0 end
redis.call('ZADD', waits, now_ms + tonumber(ARGV[3]), ARGV[2])
return 1
