-- What a task has not read, in fields of `inbox`:
--   the id: how much there is: the number of the latest event (4 bytes), how many are unread (2) and the bytes of
--     their bodies (4), answers of pollers in neither. Then of each unread event, answers too, in the order they
--     came: its number (4 bytes), the size of its body (4), the length of its name (1), and its name;
--   the id and an event's number (4 bytes): its body;
--   the id and a byte, 0 to 8: marks of events that were sent before, see _inbox.
-- Uses: inbox.
local MARK_PAGES, COUNTS_BYTES = 9, 10

local function event_field(id, number) return id .. struct.pack('>I4', number) end

-- How much there is, as stored. One of another layout reads as nothing: it must not stop the others.
local function as_box(stored)
  return stored and #stored >= COUNTS_BYTES and string.byte(stored) == 0 and stored
    or string.rep('\0', COUNTS_BYTES)
end

-- The unread events in their order: lists of number, size, name, where the event begins in the box, and where the
-- next does.
local function events_in(box)
  local events, at = {}, COUNTS_BYTES + 1
  while at <= #box do
    local number, size, name, after = struct.unpack('>I4I4Bc0', box, at)
    events[#events + 1], at = { number, size, name, at, after }, after
  end
  return events
end

local function is_among(names, name) return string.find(' ' .. names .. ' ', ' ' .. name .. ' ', 1, true) ~= nil end

-- Tells a worker what a task has not read: number, size and name of each event, joined as stored, then number and
-- body of those of these names (with spaces between) as long as their bodies take no more than `room` bytes in all.
-- Returns it, and the room that is left.
local function tell_unread(id, names, room)
  local box = as_box(redis.call('HGET', inbox, id))
  local told, numbers, fields = { string.sub(box, COUNTS_BYTES + 1) }, {}, {}
  for _, event in ipairs(names ~= '' and events_in(box) or {}) do
    if is_among(names, event[3]) then
      if event[2] > room then break end
      room = room - event[2]
      numbers[#numbers + 1], fields[#fields + 1] = event[1], event_field(id, event[1])
    end
  end
  if #fields > 0 then
    for i, body in ipairs(redis.call('HMGET', inbox, unpack(fields))) do
      if body then told[#told + 1], told[#told + 2] = numbers[i], body end
    end
  end
  return told, room
end

-- Every field of a task.
local function collect_inbox(list, id)
  list[#list + 1] = id
  for page = 0, MARK_PAGES - 1 do list[#list + 1] = id .. string.char(page) end
  for _, event in ipairs(events_in(as_box(redis.call('HGET', inbox, id)))) do
    list[#list + 1] = event_field(id, event[1])
  end
end
