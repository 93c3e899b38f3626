-- Sends a task an event: kept until the task reads it, and it resumes if it waits for it.
-- Transition: waiting -> ready
-- KEYS[1] meta: the counter `seq`, and the alarm
-- KEYS[2] specs: what was submitted
-- KEYS[3] runs: how far it came
-- KEYS[4] ready: tasks to lease
-- KEYS[5] isolated: ready tasks that must not share a worker
-- KEYS[6] due: tasks that wait for their time
-- KEYS[7] leased: running tasks by the end of their lease
-- KEYS[8] ends: unfinished tasks by the time that ends them
-- KEYS[9] journal: what tasks have done
-- KEYS[10] inbox: events that were not read
-- KEYS[11] stats: totals
-- KEYS[12] listeners: workers that block on the bell
-- KEYS[13] bell: doorbell tokens
-- KEYS[14] workers: when each worker was last heard of
-- KEYS[15] ledgers: what the fleet counts on each worker for
-- KEYS[16] starting: workers that were started
-- KEYS[17] decisions: what was decided, and why
-- KEYS[18] lines: tasks' logs
-- ARGV[1] now_ms: the server's time
-- ARGV[2] id: 16 bytes
-- ARGV[3] tenant: who sends; another tenant's task is not found
-- ARGV[4] name: of the event
-- ARGV[5] body: JSON
-- ARGV[6] key: digest of the event's key
-- ARGV[7] body_digest: digest of what it says
-- ARGV[8] places: of each worker, for tasks of this queue
-- ARGV[9] most: workers that may be
-- ARGV[10] recording: 1 to leave a line in the task's log
-- ARGV[11] rate_field: the tenant's field in `meta`, or empty for no limit
-- ARGV[12] rate_limit: submissions and events a second
-- Returns: {'OK', new (1) or seen (0), workers to start (of a repeat, whose first reply may be lost, one where nobody
--   is awake), burst left (-1 without a limit, and for a repeat), what it moved (id, event, state, attempt, '', name)
--   or nothing}
-- Errors: TASK_NOT_FOUND, TASK_FINISHED (with the state), IDEMPOTENCY_CONFLICT, INBOX_FULL, RATE_LIMITED
-- When full: refused
-- Fence: none; a lease that is under way reads the event when it ends
-- Cost: 20 commands, O(log n)
local meta, specs, runs, ready, isolated = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local due, leased, ends, journal, inbox = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local stats, listeners, bell, workers, ledgers = KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local starting, decisions, lines = KEYS[16], KEYS[17], KEYS[18]
--- include _run
--- include _writes
--- include _line
--- include _moves
--- include _lines
--- include _ready
--- include _unread
--- include _inbox
--- include _rate
--- include _ring
--- include _awake
--- include _fleet
local now_ms, id, name, body = tonumber(ARGV[1]), ARGV[2], ARGV[4], ARGV[5]

local run, head = load_task(id)
if not run or head[SPEC_TENANT] ~= ARGV[3] then return { 'TASK_NOT_FOUND' } end
if run[FINISHED] > 0 then return { 'TASK_FINISHED', run[STATE] } end
local answer, box, pages = look_into(run, id, name, #body, ARGV[6], ARGV[7])
-- What was accepted stays accepted: a repeat is answered before the limits are asked.
if answer == 'SEEN' then return { 'OK', 0, run[STATE] == 'ready' and wanted_again(now_ms) or 0, -1, {} } end
if answer ~= 'OK' then return { answer } end
local left, wait_ms = -1, nil
if ARGV[11] ~= '' then left, wait_ms = take_turn(ARGV[11], tonumber(ARGV[12]), now_ms) end
if wait_ms then return { 'RATE_LIMITED', wait_ms } end
local was_waiting = run[STATE] == 'waiting'
put_event(run, id, box, pages, name, body, ARGV[6], ARGV[7], now_ms)
flush()
if ARGV[10] == '1' then add_lines(id, { event_line(now_ms, run, name) }) end
if not was_waiting or run[STATE] ~= 'ready' then return { 'OK', 1, 0, left, {} } end
ring(now_ms, 1)
local wanted = summon(now_ms, 'event', see(now_ms), tonumber(ARGV[8]), tonumber(ARGV[9]))
return { 'OK', 1, wanted, left, moves_made() }
