-- Forgets finished tasks, and everything that was kept of them.
-- Uses: _run, _log, _lines, specs, arguments, runs, results, progress, attempts, dead, idempotency, uniques, revived.

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
  redis.call('HDEL', arguments, unpack(ids))
  redis.call('HDEL', runs, unpack(ids))
  redis.call('HDEL', results, unpack(ids))
  redis.call('HDEL', progress, unpack(ids))
  redis.call('HDEL', attempts, unpack(ids))
  redis.call('HDEL', revived, unpack(ids))
  redis.call('ZREM', dead, unpack(ids))
end
