-- Accepts one task, or answers again for a submission that it has accepted before.
-- Transition: none -> ready, none -> scheduled
-- KEYS[1] meta: the slot's flags and counters
-- KEYS[2] specs: what was submitted
-- KEYS[3] runs: how far it came
-- KEYS[4] ready: tasks to lease
-- KEYS[5] due: tasks that wait for their time
-- KEYS[6] idempotency: submissions by their key
-- KEYS[7] listeners: workers that block on the bell
-- KEYS[8] bell: doorbell tokens
-- KEYS[9] rates: each tenant's theoretical arrival time
-- ARGV[1] now_ms: the server's time
-- ARGV[2] id: 16 bytes
-- ARGV[3] spec: packed Spec
-- ARGV[4] run_at_ms: when it may start; not after now_ms means at once
-- ARGV[5] max_attempts: tries that may fail
-- ARGV[6] retention_ms: how long it is kept once finished
-- ARGV[7] idempotency_field: tenant and key, or empty
-- ARGV[8] fingerprint: 16 bytes of the request's hash, or empty
-- ARGV[9] tenant: who submits
-- ARGV[10] rate_limit: submissions a second, 0 for none
-- Returns: {'OK', id, new (1) or seen (0), listeners, burst left (-1 without a limit)}
-- Errors: UNREGISTERED, CLOSED, IDEMPOTENCY_CONFLICT, RATE_LIMITED
-- Fence: none, a new task has had no lease
-- Cost: 7 commands for a ready task without key or limit, O(log ready)
local meta, specs, runs, ready, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local idempotency, listeners, bell, rates = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
--- include _run
--- include _ring
local now_ms, id, run_at_ms = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[4])
local field, fingerprint = ARGV[7], ARGV[8]

local seen = ''
if field ~= '' then
  local entry = redis.call('HGET', idempotency, field)
  if entry then
    if string.sub(entry, 17) ~= fingerprint then return { 'IDEMPOTENCY_CONFLICT' } end
    seen = string.sub(entry, 1, 16)
  end
elseif redis.call('HEXISTS', runs, id) == 1 then
  seen = id
end
if seen ~= '' then return { 'OK', seen, 0, 0, -1 } end

local gate = redis.call('HMGET', meta, 'accepting', 'reason', 'retry_after')
if not gate[1] then return { 'UNREGISTERED' } end
if gate[1] ~= '1' then return { 'CLOSED', gate[2], gate[3] } end

local left, limit = -1, tonumber(ARGV[10])
if limit > 0 then -- generic cell rate algorithm, one second of burst
  local interval = 1000 / limit
  local arrival = math.max(tonumber(redis.call('HGET', rates, ARGV[9]) or 0), now_ms)
  local over_ms = arrival + interval - now_ms - 1000
  if over_ms > 0.001 then return { 'RATE_LIMITED', math.ceil(over_ms) } end
  redis.call('HSET', rates, ARGV[9], string.format('%.3f', arrival + interval))
  left = math.floor(-over_ms / interval + 0.001)
end

local run = { 'ready', 0, tonumber(ARGV[5]), 0, '', tonumber(ARGV[6]), 0, 0, 0, 0 }
local listening
if run_at_ms > now_ms then
  run[STATE], run[DUE] = 'scheduled', run_at_ms
  local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
  redis.call('ZADD', due, run_at_ms, id)
  -- Whoever sleeps until the due time it knows must hear of an earlier one.
  local earlier = not first[2] or run_at_ms < tonumber(first[2])
  listening = earlier and ring(now_ms, 1) or 0
else
  redis.call('ZADD', ready, redis.call('HINCRBY', meta, 'seq', 1), id)
  listening = ring(now_ms, 1)
end
redis.call('HSET', specs, id, ARGV[3])
redis.call('HSET', runs, id, cmsgpack.pack(run))
if field ~= '' then redis.call('HSET', idempotency, field, id .. fingerprint) end
return { 'OK', id, 1, listening, left }
