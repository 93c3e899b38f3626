-- Does the next part of a bulk operation: retries, erases or only counts failed tasks, up to 100 of those that
-- follow its place in `dead`. The first call brings the operation; each goes on where the one before it ended.
-- Transition: failed -> ready, failed -> scheduled
-- KEYS[1] meta: counters, the open page of the log, and how many operations are running
-- KEYS[2] specs: what was submitted
-- KEYS[3] runs: how far each task came
-- KEYS[4] ready: tasks to lease
-- KEYS[5] isolated: ready tasks that must not share a worker
-- KEYS[6] due: tasks that wait for their time
-- KEYS[7] ends: unfinished tasks by the time that ends them
-- KEYS[8] dead: failed tasks by when they failed
-- KEYS[9] log: every task, in order
-- KEYS[10] progress: what tasks say of themselves
-- KEYS[11] idempotency: submissions by their key
-- KEYS[12] uniques: who holds a unique value
-- KEYS[13] attempts: attempts that ended
-- KEYS[14] lines: tasks' logs
-- KEYS[15] revived: tasks whose id is in `done` although they were retried
-- KEYS[16] stats: totals
-- KEYS[17] listeners: workers that block on the bell
-- KEYS[18] bell: doorbell tokens
-- KEYS[19] workers: when each worker was last heard of
-- KEYS[20] ledgers: what the fleet counts on each worker for
-- KEYS[21] starting: workers that were started
-- KEYS[22] decisions: what was decided, and why
-- KEYS[23] operations: bulk operations
-- ARGV[1] now_ms: the server's time
-- ARGV[2] id: of the operation, 16 bytes
-- ARGV[3] first: the operation as it begins, packed; or empty to go on with one
-- ARGV[4] places: of each worker, for tasks of this queue
-- ARGV[5] most: workers that may be
-- Returns: {the operation, packed, workers to start, alarm to set in ms or 0, what it moved (see _moves)}
-- Errors: OPERATION_NOT_FOUND, TOO_MANY_OPERATIONS
-- When full: goes on
-- Fence: none, failed tasks have no lease
-- Cost: 12 commands to count, 2 more per ten tasks, and 6 per task that is retried; looks at 100 tasks, or at 1 MiB
--   and nine tasks more
local meta, specs, runs, ready, isolated = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local due, ends, dead, log, progress = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local idempotency, uniques, attempts, lines, revived = KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local stats, listeners, bell, workers, ledgers = KEYS[16], KEYS[17], KEYS[18], KEYS[19], KEYS[20]
local starting, decisions, operations = KEYS[21], KEYS[22], KEYS[23]
--- include _run
--- include _stats
--- include _line
--- include _moves
--- include _retry
--- include _log
--- include _lines
--- include _erase
--- include _ring
--- include _awake
--- include _fleet

-- The fields of `Operation` in bide/bulk.py, in its order. Then: when the next task has its turn, and the place:
-- the score and the id of the last task that was looked at.
--- fields OP_KIND OP_DRY_RUN OP_NAME OP_TAG OP_CODE OP_RATE OP_CREATED OP_FINISHED OP_MATCHED OP_CHANGED
--- fields OP_SKIPPED OP_TURN OP_SCORE OP_LAST
local MOST_RUNNING, MOST_KEPT = 10, 100
local MOST, AT_ONCE, MAX_BYTES = 100, 10, 1048576

-- Makes room for one more operation; false when too many are running.
local function make_room()
  local known, finished = redis.call('HGETALL', operations), {}
  for i = 1, #known, 2 do
    if cmsgpack.unpack(known[i + 1])[OP_FINISHED] > 0 then finished[#finished + 1] = known[i] end
  end
  if #known / 2 - #finished >= MOST_RUNNING then return false end
  table.sort(finished) -- ids: the oldest first
  for i = 1, #known / 2 + 1 - MOST_KEPT do redis.call('HDEL', operations, finished[i]) end
  return true
end

-- The failed tasks that follow, each with its score.
local function next_dead(operation)
  local first = 0
  if operation[OP_LAST] ~= '' then
    -- The last one may be gone from `dead`: a mark right behind its place finds that in any case.
    local mark = operation[OP_LAST] .. '\0'
    redis.call('ZADD', dead, operation[OP_SCORE], mark)
    first = redis.call('ZRANK', dead, mark)
    redis.call('ZREM', dead, mark)
  end
  return redis.call('ZRANGE', dead, first, first + MOST - 1, 'WITHSCORES')
end

local function is_meant(operation, run, head)
  if run[STATE] ~= 'failed' or run[RETRIED] >= operation[OP_CREATED] then return false end
  local name, tag, code = operation[OP_NAME], operation[OP_TAG], operation[OP_CODE]
  if name ~= '' and head[SPEC_NAME] ~= name then return false end
  if tag ~= '' and not string.find(' ' .. head[SPEC_TAGS] .. ' ', ' ' .. tag .. ' ', 1, true) then return false end
  if code == '' then return true end
  local is_json, failure = pcall(cjson.decode, run[OUTCOME])
  return is_json and type(failure) == 'table' and failure.code == code
end

local function redrive(operation, id, run, head, now_ms)
  if rival_of(id, head) then
    operation[OP_SKIPPED] = operation[OP_SKIPPED] + 1
    return
  end
  operation[OP_CHANGED] = operation[OP_CHANGED] + 1
  local turn_ms = now_ms
  if operation[OP_RATE] > 0 then
    turn_ms = math.max(operation[OP_TURN], now_ms)
    operation[OP_TURN] = turn_ms + 1000 / operation[OP_RATE]
  end
  local due_ms = math.floor(turn_ms)
  if due_ms <= now_ms then return line_up_again(id, run, head, now_ms) end
  begin_again(id, run, head, 'scheduled', due_ms, now_ms)
  redis.call('ZADD', due, due_ms, id)
end

-- Looks at the tasks that follow. Returns whether there may be more.
local function go_on(operation, now_ms)
  local found, bytes, gone, values_gone = next_dead(operation), 0, {}, {}
  local last = #found / 2
  while last > 0 and tonumber(found[2 * last]) > operation[OP_CREATED] do last = last - 1 end
  for first = 1, last, AT_ONCE do
    if bytes >= MAX_BYTES then last = first - 1 break end
    local ids = {}
    for i = first, math.min(last, first + AT_ONCE - 1) do ids[#ids + 1] = found[2 * i - 1] end
    local values, records = redis.call('HMGET', specs, unpack(ids)), redis.call('HMGET', runs, unpack(ids))
    for i, id in ipairs(ids) do
      local value = values[i]
      local run, head = read_run(records[i]), read_spec(value)
      bytes = bytes + #value + #records[i]
      if is_meant(operation, run, head) then
        operation[OP_MATCHED] = operation[OP_MATCHED] + 1
        if operation[OP_DRY_RUN] then
          -- It is counted, and that is all.
        elseif operation[OP_KIND] == 'purge' then
          gone[#gone + 1], values_gone[#values_gone + 1] = id, value
          note_move(id, run, 'deleted', '', head[SPEC_NAME])
        else
          redrive(operation, id, run, head, now_ms)
        end
      end
    end
  end
  if last > 0 then operation[OP_SCORE], operation[OP_LAST] = tonumber(found[2 * last]), found[2 * last - 1] end
  if #gone > 0 then
    erase(gone, values_gone)
    add_to_gauge(moved, 'failed', -#gone)
    operation[OP_CHANGED] = operation[OP_CHANGED] + #gone
  end
  return last == MOST or bytes >= MAX_BYTES
end

local id, record = ARGV[2], redis.call('HGET', operations, ARGV[2])
if not record then
  if ARGV[3] == '' then return { 'OPERATION_NOT_FOUND' } end
  if not make_room() then return { 'TOO_MANY_OPERATIONS' } end
  record = ARGV[3]
  redis.call('HINCRBY', meta, 'operating', 1)
end
local operation = cmsgpack.unpack(record)
if operation[OP_FINISHED] > 0 then return { record, 0, 0, {} } end
-- Callers' readings of the store's time differ by a little: it begins after all that has failed, and what it has
-- retried has to seem later.
if not operation[OP_TURN] then
  operation[OP_TURN], operation[OP_SCORE], operation[OP_LAST] = 0, 0, ''
  local latest = redis.call('ZRANGE', dead, -1, -1, 'WITHSCORES')[2]
  if latest then operation[OP_CREATED] = math.max(operation[OP_CREATED], tonumber(latest) + 1) end
end
local now_ms = math.max(tonumber(ARGV[1]), operation[OP_CREATED])
local changed = operation[OP_CHANGED]
if not go_on(operation, now_ms) then
  operation[OP_FINISHED] = now_ms
  redis.call('HINCRBY', meta, 'operating', -1)
end
add_to_gauges(moved)
record = cmsgpack.pack(operation)
redis.call('HSET', operations, id, record)
if operation[OP_CHANGED] == changed or operation[OP_KIND] == 'purge' then
  return { record, 0, 0, moves_made() }
end
ring(now_ms, operation[OP_CHANGED] - changed)
local wanted = summon(now_ms, 'redriven', see(now_ms), tonumber(ARGV[4]), tonumber(ARGV[5]))
return { record, wanted, alarm_needed(now_ms, earliest({ due })), moves_made() }
