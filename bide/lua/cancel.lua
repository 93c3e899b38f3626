-- Cancels a task: at once when nobody runs it, else by asking its worker. A parked one that has
-- something to run before it ends (`on_exit`) resumes for that, and so does one that was to resume, but whose worker
-- lacked its code.
-- Transition: scheduled -> cancelled, ready -> cancelled, retrying -> cancelled,
--   waiting -> cancelled, waiting -> ready, retrying -> ready
-- KEYS[1] meta: the counter `seq`
-- KEYS[2] specs: what was submitted
-- KEYS[3] runs: how far it came
-- KEYS[4] ready: tasks to lease
-- KEYS[5] isolated: ready tasks that must not share a worker
-- KEYS[6] due: tasks that wait for their time
-- KEYS[7] leased: running tasks by the end of their lease
-- KEYS[8] done: finished tasks by the end of their retention
-- KEYS[9] ends: unfinished tasks by the time that ends them
-- KEYS[10] dead: failed tasks by when they failed
-- KEYS[11] journal: what tasks have done
-- KEYS[12] inbox: events that were not read
-- KEYS[13] stats: totals
-- KEYS[14] signals: ids to cancel, by worker
-- KEYS[15] listeners: workers that block on the bell
-- KEYS[16] bell: doorbell tokens
-- KEYS[17] workers: when each worker was last heard of
-- KEYS[18] ledgers: what the fleet counts on each worker for
-- KEYS[19] starting: workers that were started
-- KEYS[20] decisions: what was decided, and why
-- KEYS[21] attempts: attempts that ended
-- KEYS[22] series: what tasks do, minute by minute
-- ARGV[1] now_ms: the server's time
-- ARGV[2] id: 16 bytes
-- ARGV[3] tenant: who asks; another tenant's task is not found
-- ARGV[4] places: of each worker, for tasks of this queue
-- ARGV[5] most: workers that may be
-- ARGV[6] recording: 1 when attempts and series are to know of it
-- Returns: {'CANCELLED', moves} at once (also when it was cancelled before, without a move), or
--   {'REQUESTED', moves, worker or '', workers to start}; moves: what it moved (id, event, state, attempt, '',
--   name), or nothing
-- Errors: TASK_NOT_FOUND, TASK_FINISHED (with the state)
-- Fence: none; the worker's own settle of the cancel is fenced
-- Cost: 25 commands, O(log n)
local meta, specs, runs, ready, isolated = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local due, leased, done, ends, dead = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local journal, inbox, stats, signals, listeners = KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local bell, workers, ledgers, starting, decisions = KEYS[16], KEYS[17], KEYS[18], KEYS[19], KEYS[20]
local attempts, series = KEYS[21], KEYS[22]
--- include _run
--- include _done
--- include _writes
--- include _journal
--- include _attempts
--- include _moves
--- include _series
--- include _finish
--- include _line
--- include _ready
--- include _ring
--- include _awake
--- include _fleet
local now_ms, id = tonumber(ARGV[1]), ARGV[2]
recording = ARGV[6] == '1'

local run, head = load_task(id)
if not run or head[SPEC_TENANT] ~= ARGV[3] then return { 'TASK_NOT_FOUND' } end

if run[STATE] == 'cancelled' then return { 'CANCELLED', {} } end
if run[FINISHED] > 0 then return { 'TASK_FINISHED', run[STATE] } end
if run[STATE] == 'running' then
  if run[CANCELLING] == 0 then
    run[CANCELLING] = 1
    redis.call('HSET', runs, id, pack_run(run))
    if redis.call('ZSCORE', workers, run[WORKER]) then -- nobody would take it away from one that has left
      redis.call('HSET', signals, run[WORKER], (redis.call('HGET', signals, run[WORKER]) or '') .. id)
    end
  end
  return { 'REQUESTED', {}, run[WORKER], 0 }
end
redis.call('ZREM', due, id)
if run[EXITS] == 1 and run[RESUMES] == 1 then
  if run[STATE] ~= 'ready' then
    run[CANCELLING] = 1
    line_up(id, run, redis.call('HINCRBY', meta, 'seq', 1), now_ms)
    note_move(id, run, 'promoted')
    flush()
    ring(now_ms, 1)
  elseif run[CANCELLING] == 0 then
    run[CANCELLING] = 1
    redis.call('HSET', runs, id, pack_run(run))
  end
  local wanted = summon(now_ms, 'cancelled', see(now_ms), tonumber(ARGV[4]), tonumber(ARGV[5]))
  return { 'REQUESTED', moves_made(), '', math.max(wanted, wanted_again(now_ms)) }
end
redis.call('ZREM', ready, id)
redis.call('ZREM', isolated, id)
finish(id, run, 'cancelled', '', now_ms, head[SPEC_NAME])
note_move(id, run, 'cancelled')
flush()
write_series(now_ms)
return { 'CANCELLED', moves_made() }
