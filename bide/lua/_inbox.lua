-- Events of a task that it has not read: {last number, {{number, name, body}, ...}, {marks}}.
-- A mark tells an event that was sent before: the digests of its key and of its body.
-- Uses: _run, _writes, _moves, _ready, meta, due, inbox.
local MAX_UNREAD, MAX_MARKS = 64, 256

-- Whether an event is a poller's answer.
local function is_answer(name) return string.sub(name, 1, 1) == '~' end

local function read_inbox(id)
  local packed = redis.call('HGET', inbox, id)
  if packed then return cmsgpack.unpack(packed) end
  return { 0, {}, {} }
end

local function is_awaited(run, name)
  return string.find(' ' .. run[AWAITS] .. ' ', ' ' .. name .. ' ', 1, true) ~= nil
end

local function has_awaited(run, id)
  for _, event in ipairs(read_inbox(id)[2]) do
    if is_awaited(run, event[2]) then return true end
  end
  return false
end

-- Puts an event into the inbox of an unfinished task; one that waits for it becomes ready.
-- key: digest of what makes the event itself again, body_digest: of what it says.
-- Returns 'OK', or why not: 'SEEN', 'IDEMPOTENCY_CONFLICT', 'INBOX_FULL'.
local function deliver(run, id, name, body, key, body_digest, now_ms)
  local box = read_inbox(id)
  local events, marks = box[2], box[3]
  for _, mark in ipairs(marks) do
    if string.sub(mark, 1, #key) == key then
      return string.sub(mark, #key + 1) == body_digest and 'SEEN' or 'IDEMPOTENCY_CONFLICT'
    end
  end
  -- What a poller found is always let in: it is asked for.
  local unread = 0
  for _, event in ipairs(events) do
    if not is_answer(event[2]) then unread = unread + 1 end
  end
  if not is_answer(name) and unread >= MAX_UNREAD then return 'INBOX_FULL' end
  box[1] = box[1] + 1
  events[#events + 1] = { box[1], name, body }
  marks[#marks + 1] = key .. body_digest
  if #marks > MAX_MARKS then table.remove(marks, 1) end
  redis.call('HSET', inbox, id, cmsgpack.pack(box))
  run[INBOX] = 1
  if run[STATE] == 'waiting' and is_awaited(run, name) then
    collect(writes.undue, id)
    line_up(id, run, redis.call('HINCRBY', meta, 'seq', 1), now_ms)
    note_move(id, run, 'promoted')
  else
    keep(id, run)
  end
  return 'OK'
end

-- Takes out an event that the task has read. Its mark stays: nobody can send it again.
local function take_event(id, number)
  local box = read_inbox(id)
  for i, event in ipairs(box[2]) do
    if event[1] == number then
      table.remove(box[2], i)
      redis.call('HSET', inbox, id, cmsgpack.pack(box))
      return
    end
  end
end
