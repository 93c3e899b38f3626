-- Erases a finished task.
-- Transition: none
-- KEYS[1] meta: the open page of the log
-- KEYS[2] specs: what was submitted
-- KEYS[3] runs: how far each task came
-- KEYS[4] dead: failed tasks by when they failed
-- KEYS[5] log: every task, in order
-- KEYS[6] progress: what tasks say of themselves
-- KEYS[7] idempotency: submissions by their key
-- KEYS[8] uniques: who holds a unique value
-- KEYS[9] attempts: attempts that ended
-- KEYS[10] lines: tasks' logs
-- KEYS[11] revived: ids in `done` of tasks that were retried
-- KEYS[12] stats: how many tasks are in a state
-- ARGV[1] id: 16 bytes
-- ARGV[2] tenant: who asks; another tenant's task is not found
-- Returns: {'OK', the task's name, attempts begun}
-- Errors: TASK_NOT_FOUND, TASK_NOT_FINISHED (with the state)
-- When full: goes on
-- Fence: none, a finished task has no lease
-- Cost: 16 commands
local meta, specs, runs, dead, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local progress, idempotency, uniques, attempts, lines = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local revived, stats = KEYS[11], KEYS[12]
--- include _run
--- include _stats
--- include _log
--- include _lines
--- include _erase
local id = ARGV[1]
local run, head = load_task(id)
if not run or head[SPEC_TENANT] ~= ARGV[2] then return { 'TASK_NOT_FOUND' } end
if run[FINISHED] == 0 then return { 'TASK_NOT_FINISHED', run[STATE] } end
erase({ id }, { redis.call('HGET', specs, id) })
redis.call('HINCRBY', stats, 'now/' .. run[STATE], -1)
return { 'OK', head[SPEC_NAME], run[ATTEMPT] }
