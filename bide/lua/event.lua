-- Sends a task an event: kept until the task reads it, and it resumes if it waits for it.
-- Transition: waiting -> ready
-- KEYS[1] meta: the counter `seq`, and the alarm
-- KEYS[2] specs: what was submitted
-- KEYS[3] runs: how far it came
-- KEYS[4] results: outcomes
-- KEYS[5] ready: tasks to lease
-- KEYS[6] isolated: ready tasks that must not share a worker
-- KEYS[7] due: tasks that wait for their time
-- KEYS[8] leased: running tasks by the end of their lease
-- KEYS[9] done: finished tasks by the end of their retention
-- KEYS[10] ends: unfinished tasks by the time that ends them
-- KEYS[11] journal: what tasks have done
-- KEYS[12] inbox: events that were not read
-- KEYS[13] stats: totals
-- KEYS[14] listeners: workers that block on the bell
-- KEYS[15] bell: doorbell tokens
-- KEYS[16] workers: when each worker was last heard of
-- KEYS[17] ledgers: what the fleet counts on each worker for
-- KEYS[18] starting: workers that were started
-- KEYS[19] decisions: what was decided, and why
-- ARGV[1] now_ms: the server's time
-- ARGV[2] id: 16 bytes
-- ARGV[3] tenant: who sends; another tenant's task is not found
-- ARGV[4] name: of the event
-- ARGV[5] body: JSON
-- ARGV[6] key: digest of the event's key
-- ARGV[7] body_digest: digest of what it says
-- ARGV[8] places: of each worker, for tasks of this queue
-- ARGV[9] most: workers that may be
-- Returns: {'OK', new (1) or seen (0), workers to start}
-- Errors: TASK_NOT_FOUND, TASK_FINISHED (with the state), IDEMPOTENCY_CONFLICT, INBOX_FULL
-- Fence: none; a lease that is under way reads the event when it ends
-- Cost: 20 commands, O(log n)
local meta, specs, runs, results, ready = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local isolated, due, leased, done, ends = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local journal, inbox, stats = KEYS[11], KEYS[12], KEYS[13]
local listeners, bell = KEYS[14], KEYS[15]
local workers, ledgers, starting, decisions = KEYS[16], KEYS[17], KEYS[18], KEYS[19]
--- include _run
--- include _writes
--- include _ready
--- include _inbox
--- include _ring
--- include _awake
--- include _fleet
local SPEC_TENANT = 3
local now_ms, id = tonumber(ARGV[1]), ARGV[2]

local record, spec = redis.call('HGET', runs, id), redis.call('HGET', specs, id)
if not record or cmsgpack.unpack(spec)[SPEC_TENANT] ~= ARGV[3] then return { 'TASK_NOT_FOUND' } end
local run = cmsgpack.unpack(record)
if run[FINISHED] > 0 then return { 'TASK_FINISHED', run[STATE] } end
local answer = deliver(run, id, ARGV[4], ARGV[5], ARGV[6], ARGV[7], now_ms)
flush()
if answer == 'SEEN' then return { 'OK', 0, 0 } end
if answer ~= 'OK' then return { answer } end
if run[STATE] ~= 'ready' then return { 'OK', 1, 0 } end
ring(now_ms, 1)
return { 'OK', 1, summon(now_ms, 'event', see(now_ms), tonumber(ARGV[8]), tonumber(ARGV[9])) }
