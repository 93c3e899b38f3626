-- Reads a few tasks of a slot, the newest first, as a filter wants them.
-- Transition: none
-- KEYS[1] meta: the open page of the log
-- KEYS[2] specs: what was submitted
-- KEYS[3] runs: how far each task came
-- KEYS[4] log: every task, in order
-- KEYS[5] dead: failed tasks by when they failed
-- KEYS[6] progress: what tasks say of themselves
-- ARGV[1] tenant: whose
-- ARGV[2] name: of the tasks, or empty
-- ARGV[3] state: they are in, or empty; `failed` goes by when they failed
-- ARGV[4] tag: that they have, or empty
-- ARGV[5] from: where to go on, the latter two of what was returned; empty for the newest
-- ARGV[6] within: how many there are to look at on the page `from`; for `failed`, at that time
-- ARGV[7] most: tasks to find at most
-- ARGV[8] scan: tasks to look at, at most
-- Returns: {tasks found ({id, spec without arguments, run without a result, progress or '', from and within to
--   go on after it}, ...), from and within to go on with (or '' and 0 at the end), ms of the last that was looked at (or 0)}
-- Errors: none
-- When full: reads
-- Fence: none, reads only
-- Cost: 5 commands, and 4 for each further page of the log (24 tasks); looks at `scan` tasks and a page more, or at 1 MiB
local meta, specs, runs, log, dead, progress = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
--- include _run
local tenant, name, state, tag = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local from, within, most, scan = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local MAX_BYTES = 1048576
local found, looked, bytes, last_ms = {}, 0, 0, 0

local function has_tag(tags) return string.find(' ' .. tags .. ' ', ' ' .. tag .. ' ', 1, true) ~= nil end

-- Looks at tasks in their order until there are enough; returns how many it has looked at.
-- place_of: tells from and within after the i-th.
local function look_at(ids, place_of)
  local records, said = redis.call('HMGET', runs, unpack(ids)), redis.call('HMGET', progress, unpack(ids))
  for i, value in ipairs(redis.call('HMGET', specs, unpack(ids))) do
    looked, last_ms = looked + 1, submitted_ms(ids[i])
    bytes = bytes + #value + #(records[i] or '') + #(said[i] or '')
    local head = read_spec(value)
    local run = records[i] and read_run(records[i]) or first_run(ids[i], head)
    if head[SPEC_TENANT] == tenant and (name == '' or head[SPEC_NAME] == name)
      and (state == '' or run[STATE] == state) and (tag == '' or has_tag(head[SPEC_TAGS])) then
      if run[STATE] == 'succeeded' then run[OUTCOME] = '' end
      local size = #value >= 6 and 6 + struct.unpack('>I2', value, 5) or 0
      found[#found + 1] = { ids[i], string.sub(value, 1, size), pack_run(run), said[i] or '', place_of(i) }
      if #found == most then return i end
    end
  end
  return #ids
end

if state == 'failed' then
  local newest = from and string.format('%.0f', from) or '+inf'
  local failed = redis.call('ZRANGE', dead, newest, '-inf', 'BYSCORE', 'REV', 'LIMIT', within, scan, 'WITHSCORES')
  local ids, places = {}, {}
  for i = 1, #failed / 2 do
    local ms = tonumber(failed[2 * i])
    local same = i > 1 and places[i - 1][1] == failed[2 * i] and places[i - 1][2] or ms == from and within or 0
    ids[i], places[i] = failed[2 * i - 1], { failed[2 * i], same + 1 }
  end
  local function place_of(i) return places[i][1], places[i][2] end
  if #ids == 0 then return { found, '', 0, 0 } end
  local seen = look_at(ids, place_of)
  last_ms = tonumber(places[seen][1])
  if seen == #ids and #ids < scan then return { found, '', 0, last_ms } end
  return { found, places[seen][1], places[seen][2], last_ms }
end

local open = redis.call('HGET', meta, 'page')
if not open then return { found, '', 0, 0 } end
local number, page = struct.unpack('>I4', open), string.sub(open, 5)
if from and from < number then
  local older = redis.call('ZRANGE', log, from, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, 1, 'WITHSCORES')
  if not older[1] then return { found, '', 0, 0 } end
  number, page = tonumber(older[2]), older[1]
end
if from == number then page = string.sub(page, 1, 16 * within) end
while true do
  local ids = {}
  for first = #page - 15, 1, -16 do ids[#ids + 1] = string.sub(page, first, first + 15) end
  local function place_of(i) return tostring(number), #ids - i end
  local left = #ids > 0 and #ids - look_at(ids, place_of) or 0
  if left > 0 then return { found, tostring(number), left, last_ms } end
  local older = redis.call('ZRANGE', log, '(' .. number, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, 1, 'WITHSCORES')
  if not older[1] then return { found, '', 0, last_ms } end
  number, page = tonumber(older[2]), older[1]
  if #found == most or looked >= scan or bytes >= MAX_BYTES then
    return { found, tostring(number), #page / 16, last_ms }
  end
end
