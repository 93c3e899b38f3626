-- Reads one task whole, so that its state and its outcome belong together.
-- Transition: none
-- KEYS[1] specs: what was submitted
-- KEYS[2] runs: how far it came
-- KEYS[3] results: outcomes
-- KEYS[4] progress: what tasks say of themselves
-- ARGV[1] id: 16 bytes
-- Returns: {spec, run, outcome or '', progress or ''}, or {} when there is no such task
-- Errors: none
-- Fence: none, reads only
-- Cost: 4 commands
local run = redis.call('HGET', KEYS[2], ARGV[1])
if not run then return {} end
local function value(key) return redis.call('HGET', key, ARGV[1]) or '' end
return { redis.call('HGET', KEYS[1], ARGV[1]), run, value(KEYS[3]), value(KEYS[4]) }
