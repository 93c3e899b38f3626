-- Reads one task whole, so that its state and its outcome belong together.
-- Transition: none
-- KEYS[1] specs: what was submitted
-- KEYS[2] runs: how far it came
-- KEYS[3] progress: what tasks say of themselves
-- KEYS[4] series: how long tasks took lately
-- ARGV[1] id: 16 bytes
-- Returns: {spec, run or '' for a task that nothing has happened to, progress or '', durations of the last
--   tasks of its name or ''}, or {} when there is no such task
-- Errors: none
-- When full: reads
-- Fence: none, reads only
-- Cost: 4 commands
local spec = redis.call('HGET', KEYS[1], ARGV[1])
if not spec then return {} end
local function value(key) return redis.call('HGET', key, ARGV[1]) or '' end
local _, head = cmsgpack.unpack_one(spec, 6) -- as in _run
return { spec, value(KEYS[2]), value(KEYS[3]), redis.call('HGET', KEYS[4], 'r' .. head[1]) or '' }
