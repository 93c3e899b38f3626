-- Begins a failed task again, under its id. What its life before has left is its history, its costs and its
-- log; its journal is gone, so that every step runs again.
-- Transition: failed -> ready
-- KEYS[1] meta: the counter `seq`
-- KEYS[2] specs: what was submitted
-- KEYS[3] runs: how far each task came
-- KEYS[4] ready: tasks to lease
-- KEYS[5] isolated: ready tasks that must not share a worker
-- KEYS[6] due: tasks that wait for their time
-- KEYS[7] ends: unfinished tasks by the time that ends them
-- KEYS[8] dead: failed tasks by when they failed
-- KEYS[9] progress: what tasks say of themselves
-- KEYS[10] uniques: who holds a unique value
-- KEYS[11] revived: tasks whose id is in `done` although they were retried
-- KEYS[12] stats: totals
-- KEYS[13] listeners: workers that block on the bell
-- KEYS[14] bell: doorbell tokens
-- KEYS[15] workers: when each worker was last heard of
-- KEYS[16] ledgers: what the fleet counts on each worker for
-- KEYS[17] starting: workers that were started
-- KEYS[18] decisions: what was decided, and why
-- ARGV[1] now_ms: the server's time; the same again tells a repeat
-- ARGV[2] id: 16 bytes
-- ARGV[3] tenant: who asks; another tenant's task is not found
-- ARGV[4] places: of each worker, for tasks of this queue
-- ARGV[5] most: workers that may be
-- Returns: {'OK', new (1), or seen (0) when it was retried before and has not finished since, workers to start (of
--   a repeat, whose first reply may be lost, one where nobody is awake), what it moved (see _moves)}
-- Errors: TASK_NOT_FOUND, TASK_NOT_FAILED (with the state), NOT_UNIQUE (with the id)
-- When full: refused
-- Fence: none, a failed task has no lease; it keeps its fence, so that nothing an old worker says counts
-- Cost: 23 commands, O(log n)
local meta, specs, runs, ready, isolated = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local due, ends, dead, progress, uniques = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local revived, stats, listeners, bell, workers = KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local ledgers, starting, decisions = KEYS[16], KEYS[17], KEYS[18]
--- include _run
--- include _stats
--- include _line
--- include _moves
--- include _retry
--- include _ring
--- include _awake
--- include _fleet
local now_ms, id = tonumber(ARGV[1]), ARGV[2]

local run, head = load_task(id)
if not run or head[SPEC_TENANT] ~= ARGV[3] then return { 'TASK_NOT_FOUND' } end
-- A repeat finds what it has done, even when the task has failed again since.
local is_retried = run[RETRIED] > 0 and (run[FINISHED] == 0 or run[RETRIED] == now_ms)
if is_retried then return { 'OK', 0, run[STATE] == 'ready' and wanted_again(now_ms) or 0, {} } end
if run[STATE] ~= 'failed' then return { 'TASK_NOT_FAILED', run[STATE] } end
local rival = rival_of(id, head)
if rival then return { 'NOT_UNIQUE', rival } end
line_up_again(id, run, head, now_ms)
add_to_gauges(moved)
ring(now_ms, 1)
local wanted = summon(now_ms, 'retried', see(now_ms), tonumber(ARGV[4]), tonumber(ARGV[5]))
return { 'OK', 1, wanted, moves_made() }
