-- Accepts one task, or answers again for a submission that it has accepted before.
-- Transition: none -> ready, none -> scheduled
-- KEYS[1] meta: the slot's flags, counters and rates, and the open page of the log
-- KEYS[2] specs: what was submitted
-- KEYS[3] runs: how far each task came
-- KEYS[4] ready: tasks to lease
-- KEYS[5] due: tasks that wait for their time
-- KEYS[6] ends: unfinished tasks by the time that ends them
-- KEYS[7] log: every task, in order
-- KEYS[8] idempotency: submissions by their key
-- KEYS[9] uniques: who holds a unique value
-- KEYS[10] listeners: workers that block on the bell
-- KEYS[11] bell: doorbell tokens
-- KEYS[12] isolated: ready tasks that must not share a worker
-- KEYS[13] workers: when each worker was last heard of
-- KEYS[14] ledgers: what the fleet counts on each worker for
-- KEYS[15] stats: how many tasks are in a state
-- KEYS[16] starting: workers that were started
-- KEYS[17] decisions: what was decided, and why
-- KEYS[18] series: how long tasks took lately
-- ARGV[1] now_ms: the server's time
-- ARGV[2] id: 16 bytes
-- ARGV[3] spec: what follows the place in a value of `specs`
-- ARGV[4] band: what the task's priority adds to its place in the line
-- ARGV[5] due_ms: when a scheduled task becomes ready; 0 for a ready one
-- ARGV[6] ends_ms: when it expires or meets its deadline, whichever is first; 0 for neither
-- ARGV[7] idempotency_field: tenant and key, or empty
-- ARGV[8] fingerprint: 16 bytes of the request's hash, or empty
-- ARGV[9] unique_field: tenant and unique value, or empty
-- ARGV[10] rate_field: the tenant's field in `meta`, or empty for no limit
-- ARGV[11] rate_limit: submissions and events a second
-- ARGV[12] places: of each worker, for tasks of this queue
-- ARGV[13] most: workers that may be
-- ARGV[14] recent_field: the field in `series` of the task's name
-- Returns: {'OK', id, new (1) or seen (0), workers to start, alarm to set in ms or 0,
--   burst left (-1 without a limit), durations of the last tasks of its name or '' (also for one seen)}
-- Errors: UNREGISTERED, CLOSED, IDEMPOTENCY_CONFLICT, NOT_UNIQUE (with the id), RATE_LIMITED
-- When full: refused
-- Fence: none, a new task has had no lease
-- Cost: 7 commands for a ready task without key or limit, 3 more to ring, about 9 more to start workers,
--   O(log ready)
local meta, specs, runs, ready, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local ends, log, idempotency, uniques = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local listeners, bell, isolated, workers = KEYS[10], KEYS[11], KEYS[12], KEYS[13]
local ledgers, stats, starting, decisions, series = KEYS[14], KEYS[15], KEYS[16], KEYS[17], KEYS[18]
--- include _ring
--- include _awake
local now_ms, id, due_ms = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[5])
local ends_ms, field, fingerprint = tonumber(ARGV[6]), ARGV[7], ARGV[8]
local unique, rate_field = ARGV[9], ARGV[10]
local PAGE = 24 -- ids on a page of the log
local gate = redis.call('HMGET', meta, 'accepting', 'reason', 'retry_after', 'covered', 'covered_ms', 'page', 'seq',
  'paused')
local function seen(first_id)
  return { 'OK', first_id, 0, (gate[8] or awake(now_ms)) and 0 or 1, 0, -1, '' }
end

-- What was accepted stays accepted: a repeat is answered before the gate and the limit are asked.
if field ~= '' then
  local entry = redis.call('HGET', idempotency, field)
  if entry then
    if string.sub(entry, 17) ~= fingerprint then return { 'IDEMPOTENCY_CONFLICT' } end
    return seen(string.sub(entry, 1, 16))
  end
elseif gate[1] ~= '1' or rate_field ~= '' or unique ~= '' then
  if redis.call('HEXISTS', specs, id) == 1 then return seen(id) end
end
if not gate[1] then return { 'UNREGISTERED' } end
if gate[1] ~= '1' then return { 'CLOSED', gate[2], gate[3] } end

if unique ~= '' then
  -- Made only where it is asked for, as making functions takes time.
  local function holder_of(value)
--- include _run
    local holder = redis.call('HGET', uniques, value)
    local run = holder and load_task(holder)
    return run and run[FINISHED] == 0 and holder
  end
  local holder = holder_of(unique)
  if holder then return { 'NOT_UNIQUE', holder } end
end

local left = -1
if rate_field ~= '' then
--- include _rate
  local wait_ms
  left, wait_ms = take_turn(rate_field, tonumber(ARGV[11]), now_ms)
  if wait_ms then return { 'RATE_LIMITED', wait_ms } end
end

-- The next place in the log: on the open page, or on a new one.
local page = gate[6] or '\0\0\0\0'
local full = #page >= 4 + 16 * PAGE and page
if full then page = struct.pack('>I4', struct.unpack('>I4', full) + 1) end
if redis.call('HSETNX', specs, id, string.sub(page, 1, 4) .. ARGV[3]) == 0 then return seen(id) end
if full then redis.call('ZADD', log, struct.unpack('>I4', full), string.sub(full, 5)) end
if field ~= '' then redis.call('HSET', idempotency, field, id .. fingerprint) end
if unique ~= '' then redis.call('HSET', uniques, unique, id) end
if ends_ms > 0 then redis.call('ZADD', ends, ends_ms, id) end
local recent = redis.call('HGET', series, ARGV[14]) or ''
if due_ms == 0 then
  local function call_up()
--- include _fleet
    return summon(now_ms, 'submitted', see(now_ms), tonumber(ARGV[12]), tonumber(ARGV[13]))
  end
  local place = tonumber(gate[7] or 0) + 1
  redis.call('HSET', meta, 'page', page .. id, 'seq', place)
  redis.call('ZADD', ready, tonumber(ARGV[4]) + place, id)
  ring(now_ms, 1)
  local is_covered = gate[5] and place <= tonumber(gate[4]) and now_ms <= tonumber(gate[5])
  local wanted = is_covered and 0 or call_up()
  return { 'OK', id, 1, wanted, 0, left, recent }
end
redis.call('HSET', meta, 'page', page .. id)
redis.call('HINCRBY', stats, 'now/scheduled', 1)
local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
redis.call('ZADD', due, due_ms, id)
-- Whoever sleeps until the due time it knows must hear of an earlier one.
if not first[2] or due_ms < tonumber(first[2]) then ring(now_ms, 1) end
return { 'OK', id, 1, 0, alarm_needed(now_ms, due_ms), left, recent }
