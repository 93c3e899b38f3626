-- The log of a task: the last 500 of its lines, each in a field of its own, the id and four bytes of its
-- number; the task's own field holds the number of the last. A line is packed: `Line` in bide/line.py.
-- Uses: lines.
local KEPT_LINES, EVENT_LINE = 500, 2

local function line_field(id, number) return id .. struct.pack('>I4', number) end

-- Each follows its length, in two bytes.
local function split_lines(joined)
  local list, at = {}, 1
  while at <= #joined do list[#list + 1], at = struct.unpack('>I2c0', joined, at) end
  return list
end

local function last_line(id)
  local packed = redis.call('HGET', lines, id)
  return packed and struct.unpack('>I4', packed) or 0
end

-- added: packed lines, at most 100.
local function add_lines(id, added)
  local before, writes_of, old = last_line(id), {}, {}
  local after = before + #added
  for i, line in ipairs(added) do
    writes_of[#writes_of + 1] = line_field(id, before + i)
    writes_of[#writes_of + 1] = line
  end
  redis.call('HSET', lines, id, struct.pack('>I4', after), unpack(writes_of))
  for number = math.max(1, before - KEPT_LINES + 1), after - KEPT_LINES do old[#old + 1] = line_field(id, number) end
  if #old > 0 then redis.call('HDEL', lines, unpack(old)) end
end

-- Deletes all lines of these tasks.
local function erase_lines(ids)
  local fields = {}
  for i, last in ipairs(redis.call('HMGET', lines, unpack(ids))) do
    if last then
      local after = struct.unpack('>I4', last)
      fields[#fields + 1] = ids[i]
      for number = math.max(1, after - KEPT_LINES + 1), after do fields[#fields + 1] = line_field(ids[i], number) end
    end
  end
  for first = 1, #fields, 4000 do
    redis.call('HDEL', lines, unpack(fields, first, math.min(#fields, first + 3999)))
  end
end

local function event_line(now_ms, run, name)
  return cmsgpack.pack({ now_ms, EVENT_LINE, run[ATTEMPT], '', '', name })
end
