-- Sends events to tasks, and takes out those that tasks have read.
-- A mark tells an event that was sent before: the digests of its key and of its body, 16 characters each. The marks
-- of at least the last 256 events are kept, on pages of 32: a new event writes one page, and the tenth page goes where
-- the first was.
-- Uses: _run, _writes, _moves, _ready, _unread, meta, due, inbox.
local MAX_UNREAD, MAX_UNREAD_BYTES = 64, 262144
local MARK_BYTES, MARKS_OF_PAGE = 32, 32
local NO_DIGEST = '0000000000000000'

-- Whether an event is a poller's answer.
local function is_answer(name) return string.sub(name, 1, 1) == '~' end

local function is_awaited(run, name) return is_among(run[AWAITS], name) end

local function has_awaited(run, id)
  for _, event in ipairs(events_in(as_box(redis.call('HGET', inbox, id)))) do
    if is_awaited(run, event[3]) then return true end
  end
  return false
end

-- Where the mark of a key stands among others; nil when it is not there.
local function find_mark(marks, key)
  local at = string.find(marks, key, 1, true)
  while at and at % MARK_BYTES ~= 1 do at = string.find(marks, key, at + 1, true) end
  return at
end

-- Whether an unfinished task takes an event: 'OK', or why not: 'SEEN', 'IDEMPOTENCY_CONFLICT', 'INBOX_FULL'.
-- size: of its body in bytes; key: digest of what makes the event itself again, body_digest: of what it says.
-- With 'OK' comes what `put_event` wants: how much there is, and the pages of marks.
local function look_into(run, id, name, size, key, body_digest)
  local box, pages = as_box(false), {}
  if run[INBOX] > 0 then
    local fields = { id }
    for page = 0, MARK_PAGES - 1 do fields[#fields + 1] = id .. string.char(page) end
    local found = redis.call('HMGET', inbox, unpack(fields))
    box = as_box(found[1])
    for page = 1, MARK_PAGES do pages[page] = found[page + 1] or '' end
    local marks = table.concat(pages)
    local at = find_mark(marks, key)
    if at then
      return string.sub(marks, at + #key, at + MARK_BYTES - 1) == body_digest and 'SEEN' or 'IDEMPOTENCY_CONFLICT'
    end
  end
  local _, unread, bytes = struct.unpack('>I4I2I4', box)
  -- What a poller found is always let in: it is asked for.
  if not is_answer(name) and (unread >= MAX_UNREAD or bytes + size > MAX_UNREAD_BYTES) then return 'INBOX_FULL' end
  return 'OK', box, pages
end

-- Puts in an event that was looked at; the task becomes ready if it waits for it.
local function put_event(run, id, box, pages, name, body, key, body_digest, now_ms)
  local number, unread, bytes = struct.unpack('>I4I2I4', box)
  number = number + 1
  if not is_answer(name) then unread, bytes = unread + 1, bytes + #body end
  local page = math.floor((number - 1) / MARKS_OF_PAGE) % MARK_PAGES
  local marks = (number - 1) % MARKS_OF_PAGE > 0 and pages[page + 1] or ''
  redis.call('HSET', inbox, id,
    struct.pack('>I4I2I4', number, unread, bytes) .. string.sub(box, COUNTS_BYTES + 1)
      .. struct.pack('>I4I4Bc0', number, #body, #name, name),
    event_field(id, number), body, id .. string.char(page), marks .. key .. body_digest)
  run[INBOX] = 1
  if run[STATE] == 'waiting' and is_awaited(run, name) then
    collect(writes.undue, id)
    line_up(id, run, redis.call('HINCRBY', meta, 'seq', 1), now_ms)
    note_move(id, run, 'promoted')
  else
    keep(id, run)
  end
end

-- Delivers a poller's answer to an unfinished task, once; returns whether this was the first time.
local function deliver(run, id, name, body, now_ms)
  -- The name says for which wait it is.
  local key = string.sub(redis.sha1hex(name), 1, #NO_DIGEST)
  local answer, box, pages = look_into(run, id, name, #body, key, NO_DIGEST)
  if answer ~= 'OK' then return false end
  put_event(run, id, box, pages, name, body, key, NO_DIGEST, now_ms)
  return true
end

-- Takes out an event that the task has read. Its mark stays: nobody can send it again.
local function take_event(id, number)
  local box = as_box(redis.call('HGET', inbox, id))
  for _, event in ipairs(events_in(box)) do
    if event[1] == number then
      local latest, unread, bytes = struct.unpack('>I4I2I4', box)
      if not is_answer(event[3]) then unread, bytes = unread - 1, bytes - event[2] end
      redis.call('HSET', inbox, id, struct.pack('>I4I2I4', latest, unread, bytes)
        .. string.sub(box, COUNTS_BYTES + 1, event[4] - 1) .. string.sub(box, event[5]))
      redis.call('HDEL', inbox, event_field(id, number))
      return
    end
  end
end
