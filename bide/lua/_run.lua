-- A task's records. What never changes stands in `specs`, packed: its place in `log` (4 bytes), the length
-- of the head (2 bytes), the head: an array of the fields of `Spec` in bide/records.py, and the arguments
-- (JSON), unless they are large: those stand apart, in `arguments`. How far it came stands in `runs`, from its
-- first change on: the fields of `Run` there, in its order, without those at the end that say nothing.
-- Uses: specs, runs.
--- fields STATE ATTEMPT MAX_ATTEMPTS FENCE WORKER RETENTION STARTED FINISHED OUTCOME BILLED WAITED REPLAYS
--- fields POLLS DUE CANCELLING EXPIRES DEADLINE JOURNAL INBOX AWAITS PARKED RESUMES ACTIVE EXITS PRIORITY
--- fields SINCE BEGAN RETRIED SUSPECT REFUSED ENDING
local RUN_FIELDS = ENDING
local RUN_TEXTS = { [WORKER] = true, [OUTCOME] = true, [AWAITS] = true, [ENDING] = true }

--- fields SPEC_NAME SPEC_TENANT SPEC_MAX_ATTEMPTS SPEC_RETENTION SPEC_PRIORITY SPEC_DUE SPEC_EXPIRES
--- fields SPEC_DEADLINE SPEC_IDEMPOTENCY SPEC_UNIQUE SPEC_TAGS
local SPEC_TEXTS = { [SPEC_IDEMPOTENCY] = true, [SPEC_UNIQUE] = true, [SPEC_TAGS] = true }

local function padded(record, fields, texts)
  for i = #record + 1, fields do record[i] = texts[i] and '' or 0 end
  return record
end

-- The head of a value of `specs`. A damaged one must not stop the others: it reads as a task that the worker
-- who leases it will fail, and that is kept for a day.
local function read_spec(value)
  local is_read, _, head = pcall(cmsgpack.unpack_one, value, 6)
  if not is_read or type(head) ~= 'table' then head = { '', '', 1, 86400000 } end
  return padded(head, SPEC_TAGS, SPEC_TEXTS)
end

-- How long a value of `specs` is without arguments; 0 for a damaged one.
local function head_size(value) return #value >= 6 and 6 + struct.unpack('>I2', value, 5) or 0 end

local function read_run(record) return padded(cmsgpack.unpack(record), RUN_FIELDS, RUN_TEXTS) end

-- Of a task that is under way hardly anything would be left out: that is not worth the time.
local function pack_run(run)
  local last = RUN_FIELDS
  while run[last] == 0 or run[last] == '' do last = last - 1 end
  if last > EXITS then return cmsgpack.pack(run) end
  return cmsgpack.pack({ unpack(run, 1, last) })
end

-- When a task was submitted: the first six bytes of its id.
local function submitted_ms(id)
  local high, low = struct.unpack('>I2I4', id)
  return high * 4294967296 + low
end

-- The run of a task that nothing has happened to yet.
local function first_run(id, head)
  local due_ms = head[SPEC_DUE]
  -- At once, in the order of the fields: each task that is leased for the first time comes here.
  return {
    due_ms > 0 and 'scheduled' or 'ready', 0, head[SPEC_MAX_ATTEMPTS], 0, '', head[SPEC_RETENTION], 0, 0, '', 0, 0, 0,
    0, due_ms, 0, head[SPEC_EXPIRES], head[SPEC_DEADLINE], 0, 0, '', 0, 0, 0, 0, head[SPEC_PRIORITY],
    due_ms > 0 and 0 or submitted_ms(id), 0, 0, 0, 0, '',
  }
end

-- The runs of these tasks, in order; false for one that is not there.
local function load_runs(ids)
  local loaded, missing, places = {}, {}, {}
  for i, record in ipairs(redis.call('HMGET', runs, unpack(ids))) do
    loaded[i] = record and read_run(record)
    if not record then missing[#missing + 1], places[#places + 1] = ids[i], i end
  end
  if #missing > 0 then
    for n, value in ipairs(redis.call('HMGET', specs, unpack(missing))) do
      loaded[places[n]] = value and first_run(missing[n], read_spec(value))
    end
  end
  return loaded
end

-- The run of a task, and its spec's head; nil when there is no such task.
local function load_task(id)
  local value = redis.call('HGET', specs, id)
  if not value then return nil end
  local head, record = read_spec(value), redis.call('HGET', runs, id)
  return record and read_run(record) or first_run(id, head), head
end
