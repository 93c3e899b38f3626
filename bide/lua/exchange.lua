-- A worker's one call per turn and slot: commit what its tasks did and settle those that ended,
-- promote, reap, end and prune what is due, lease more, and learn of cancels and the next due time.
-- Transition: running -> succeeded, running -> failed, running -> cancelled, running -> retrying,
--   running -> ready, running -> waiting, scheduled -> ready, retrying -> ready, waiting -> ready,
--   scheduled -> expired, ready -> expired, scheduled -> failed, ready -> failed,
--   waiting -> failed, retrying -> failed, none -> waiting, ready -> running
-- KEYS[1] meta: counters `seq` and `fence`
-- KEYS[2] specs: what was submitted
-- KEYS[3] runs: how far it came
-- KEYS[4] ready: tasks to lease
-- KEYS[5] isolated: ready tasks that must not share a worker
-- KEYS[6] due: tasks that wait for their time
-- KEYS[7] leased: running tasks by the end of their lease
-- KEYS[8] done: finished tasks by the end of their retention
-- KEYS[9] ends: unfinished tasks by the time that ends them
-- KEYS[10] dead: failed tasks by when they failed
-- KEYS[11] log: every task, in order
-- KEYS[12] journal: what tasks have done
-- KEYS[13] inbox: events that were not read
-- KEYS[14] progress: what tasks say of themselves
-- KEYS[15] watched: who waits for shared pollers
-- KEYS[16] idempotency: submissions by their key
-- KEYS[17] uniques: who holds a unique value
-- KEYS[18] attempts: attempts that ended
-- KEYS[19] lines: tasks' logs
-- KEYS[20] revived: ids in `done` of tasks that were retried
-- KEYS[21] listeners: workers that block on the bell
-- KEYS[22] bell: doorbell tokens
-- KEYS[23] workers: when each worker was last heard of
-- KEYS[24] ledgers: what each worker's last exchange lost and leased, and its free places
-- KEYS[25] signals: ids to cancel, by worker
-- KEYS[26] stats: totals
-- KEYS[27] starting: workers that were started
-- KEYS[28] decisions: what was decided, and why
-- KEYS[29] series: what tasks do, minute by minute
-- KEYS[30] arguments: large ones
-- KEYS[31] results: large ones
-- ARGV[1] now_ms: the server's time
-- ARGV[2] worker: who asks
-- ARGV[3] boot: which start of that worker, growing
-- ARGV[4] seq: which exchange of that boot, growing; the same again repeats the answer
-- ARGV[5] capacity: tasks to lease, at most 100
-- ARGV[6] lease_ms: how long the leases last
-- ARGV[7] isolate: 1 when the worker has room for an isolated task
-- ARGV[8] listen_ms: how long it will block on the bell if it has room left, 0 for not at all
-- ARGV[9] lived_ms: what the worker has lived since it last said so
-- ARGV[10] free: places it has free for tasks of this queue, the capacity included; -1 when it will lease
--   nothing more
-- ARGV[11] places: of each worker, for tasks of this queue
-- ARGV[12] most: workers that may lease
-- ARGV[13] recording: 1 when attempts and series are to know of it
-- ARGV[14...] messages: id, fence, verb, number, body and extra of each, at most 100, in order:
--   a settle: the state to enter (or `polled`, `refused`), delay_ms, what _settle says, usage;
--   journal: position, entry, number of the event it has read or 0; exits: 0, '', ''; progress: 0, JSON, '';
--   lines: how many, each packed after its length, '';
--   deliver (fence is polls): billed_us, JSON, name; watch (of a poller): every_ms, member, name;
--   unwatch: 0, member, ''
-- Returns: {'OK', positions of lost messages, leases (id, spec, run, isolated, journal, unread events; ...),
--   ids to cancel, next due time in ms or -1, that of a task that waits for its time, tasks still ready, workers to start, 1 when this worker may
--   lease (0 when there are `most` without it), workers that may, places free on them, workers that start,
--   what it moved by itself or otherwise than asked (id, event, state, attempt, worker, name; ...)}
-- Errors: SUPERSEDED (a later exchange or boot of this worker was seen; nothing was done)
-- When full: goes on
-- Fence: each settle, and each entry, counts only for its task's latest fence; each lease gets a new one
-- Cost: 25 commands and about 5 per task settled and 4 per task leased, batched
local meta, specs, runs, ready, isolated = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local due, leased, done, ends, dead = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local log, journal, inbox, progress, watched = KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local idempotency, uniques, attempts, lines, revived = KEYS[16], KEYS[17], KEYS[18], KEYS[19], KEYS[20]
local listeners, bell, workers, ledgers, signals = KEYS[21], KEYS[22], KEYS[23], KEYS[24], KEYS[25]
local stats, starting, decisions, series, arguments = KEYS[26], KEYS[27], KEYS[28], KEYS[29], KEYS[30]
local results = KEYS[31]
--- include _run
--- include _done
--- include _writes
--- include _journal
--- include _attempts
--- include _moves
--- include _lines
--- include _series
--- include _unread
--- include _finish
--- include _line
--- include _ready
--- include _exits
--- include _inbox
--- include _settle
--- include _watch
--- include _messages
--- include _promote
--- include _reap
--- include _end
--- include _log
--- include _erase
--- include _prune
--- include _lease
--- include _ring
--- include _awake
--- include _fleet
--- include _presence
local MESSAGES, LEASED = 14, 6
local now_ms, worker = tonumber(ARGV[1]), ARGV[2]
local boot, seq = tonumber(ARGV[3]), tonumber(ARGV[4])
recording = ARGV[13] == '1'

local packed = redis.call('HGET', ledgers, worker)
local ledger = packed and cmsgpack.unpack(packed) or { 0, 0, {}, 0, {}, 0, 0, 0, 0, 0 }
if boot < ledger[BOOT] or (boot == ledger[BOOT] and seq < ledger[SEQ]) then return { 'SUPERSEDED' } end
local again = boot == ledger[BOOT] and seq == ledger[SEQ]
if boot > ledger[BOOT] then ledger[TASKS], ledger[CAME] = 0, now_ms - tonumber(ARGV[9]) end

-- How many of these ids are tasks'; a poller's begins with six zero bytes.
local function tasks_among(ids)
  local n = 0
  for _, id in ipairs(ids) do
    if string.sub(id, 1, 6) ~= '\0\0\0\0\0\0' then n = n + 1 end
  end
  return n
end

local heard, lost, told = 0, ledger[LOST], again and ledger[MOVES] or {}
if not again then heard = math.floor((#ARGV - MESSAGES + 1) / 6) end
prune(now_ms, math.max(10, heard)) -- no slower than tasks end; first, as it makes room for what follows
if not again then
  count('worker_ms', tonumber(ARGV[9]))
  count('starts', seq == 1 and 1 or 0)
  lost = heard > 0 and hear(MESSAGES, now_ms) or {}
  ledger[TASKS] = ledger[TASKS] - tasks_among(writes.unleased)
  flush()
end

promote(now_ms, 100)
local _, holders, taken = reap(now_ms, 100)
end_overdue(now_ms, 100)

local leases, capacity, free = {}, tonumber(ARGV[5]), tonumber(ARGV[10])
local places, most = tonumber(ARGV[11]), tonumber(ARGV[12])
local is_new, seen = redis.call('ZADD', workers, now_ms, worker) == 1, see(now_ms)
discount(holders, seen, taken) -- whoever let leases run out, this worker perhaps
for _, name in ipairs(holders) do
  if name == worker then
    ledger[FREE], ledger[ADMITTED], ledger[TASKS] = 0, 0, ledger[TASKS] - taken[name]
  end
end
local admitted = again and ledger[ADMITTED] or admit(ledger, is_new, free < 0, seen, most)
if admitted == 0 then capacity = 0 end
if again then
  local last_ids = ledger[LEASED_IDS]
  local records, bodies = {}, {}
  if #last_ids > 0 then
    records, bodies = redis.call('HMGET', runs, unpack(last_ids)), redis.call('HMGET', specs, unpack(last_ids))
  end
  for i, record in ipairs(records) do
    local run = record and read_run(record)
    if run and run[STATE] == 'running' and run[WORKER] == worker then
      describe(leases, { last_ids[i] }, { bodies[i] }, { run }, { record }, i <= ledger[ISOLATED] and 1 or 0)
    end
  end
elseif capacity > 0 and not seen.is_paused then
  local expires_ms = now_ms + tonumber(ARGV[6])
  if ARGV[7] == '1' then
    lease(leases, pop(isolated, 1), worker, expires_ms, now_ms, 1)
  end
  lease(leases, pop(ready, capacity - #leases / LEASED), worker, expires_ms, now_ms, 0)
end

write_series(now_ms)

local ids, isolated_leases = {}, 0
if not again then
  for i = 1, #leases, LEASED do ids[#ids + 1] = leases[i] end
  free = admitted == 1 and math.max(0, free - #ids) or 0
  seen.free = seen.free + free
  if #leases > 0 then isolated_leases = leases[4] end
  local tasks = math.max(0, ledger[TASKS] + tasks_among(ids))
  ledger = {
    boot, seq, ids, isolated_leases, lost, free, admitted, tasks, ledger[CAME], tonumber(ARGV[10]) < 0 and 1 or 0,
  }
end
local made = moves_made()
for _, value in ipairs(made) do told[#told + 1] = value end
if #told > 0 then ledger[MOVES] = told end
if not again or #made > 0 then redis.call('HSET', ledgers, worker, cmsgpack.pack(ledger)) end

if tonumber(ARGV[8]) > 0 and #leases / LEASED < capacity then
  redis.call('ZADD', listeners, now_ms + tonumber(ARGV[8]), worker)
else
  redis.call('ZREM', listeners, worker)
end
local waiting = seen.line - (#ids - isolated_leases)
-- For suspects but once, lest workers that all lack the place for one ring each other without end.
local left = waiting + math.max(0, suspects - isolated_leases)
if left > 0 then ring(now_ms, left) end
seen.awake_ms, seen.ready = now_ms, seen.ready - #ids
local wanted = summon(now_ms, 'backlog', seen, places, most)

local cancels = redis.call('HGET', signals, worker) or ''
if cancels ~= '' then redis.call('HDEL', signals, worker) end

-- In a paused queue the tick is early enough.
local due_ms, next_ms = seen.is_paused and -1 or earliest({ due }), earliest({ leased, ends })
if due_ms >= 0 and (next_ms < 0 or due_ms < next_ms) then next_ms = due_ms end
return {
  'OK', lost, leases, cancels, next_ms, due_ms, waiting, wanted, admitted, seen.admitted,
  seen.free, seen.starting, told,
}
