-- Forgets finished tasks, and everything that was kept of them.
-- Uses: _run, _log, specs, runs, progress, attempts, lines, dead, idempotency, uniques, revived.
local KEPT_LINES = 500 -- of each task's log

-- Deletes the lines of these tasks. A task's own field in `lines` holds the number of its last one.
local function erase_lines(ids)
  local fields = {}
  for i, last in ipairs(redis.call('HMGET', lines, unpack(ids))) do
    if last then
      local number = struct.unpack('>I4', last)
      fields[#fields + 1] = ids[i]
      for line = math.max(1, number - KEPT_LINES + 1), number do
        fields[#fields + 1] = ids[i] .. struct.pack('>I4', line)
      end
    end
  end
  for first = 1, #fields, 4000 do
    redis.call('HDEL', lines, unpack(fields, first, math.min(#fields, first + 3999)))
  end
end

-- Lets go of a key that was this task's. Its later holder keeps it.
local function release(key, field, id)
  if field == '' then return end
  local holder = redis.call('HGET', key, field)
  if holder and string.sub(holder, 1, 16) == id then redis.call('HDEL', key, field) end
end

-- ids: of finished tasks; values: of `specs`, theirs.
local function erase(ids, values)
  if #ids == 0 then return end
  local pages = {}
  for i, id in ipairs(ids) do
    local head, page = read_spec(values[i]), #values[i] >= 4 and struct.unpack('>I4', values[i]) or 0
    release(idempotency, head[SPEC_IDEMPOTENCY], id)
    release(uniques, head[SPEC_UNIQUE], id)
    pages[page] = pages[page] or {}
    pages[page][id] = true
  end
  unlog(pages)
  erase_lines(ids)
  redis.call('HDEL', specs, unpack(ids))
  redis.call('HDEL', runs, unpack(ids))
  redis.call('HDEL', progress, unpack(ids))
  redis.call('HDEL', attempts, unpack(ids))
  redis.call('HDEL', revived, unpack(ids))
  redis.call('ZREM', dead, unpack(ids))
end
