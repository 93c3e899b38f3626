-- Reads what a task's attempts came to, with its records, so that they belong together.
-- Transition: none
-- KEYS[1] specs: what was submitted
-- KEYS[2] runs: how far each task came
-- KEYS[3] attempts: attempts that ended
-- ARGV[1] id: 16 bytes
-- Returns: {spec, run or '' for a task that nothing has happened to, history or ''}, or {} when there is no
--   such task
-- Errors: none
-- When full: reads
-- Fence: none, reads only
-- Cost: 3 commands
local spec = redis.call('HGET', KEYS[1], ARGV[1])
if not spec then return {} end
return { spec, redis.call('HGET', KEYS[2], ARGV[1]) or '', redis.call('HGET', KEYS[3], ARGV[1]) or '' }
