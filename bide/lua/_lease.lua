-- Hands ready tasks to a worker: by priority, then first in first out.
-- Transition: ready -> running
-- Uses: _run, _writes, _journal, _series, _unread, meta, runs, specs, ready, isolated, journal, inbox.

-- The journals of these tasks, by id: lists of entries, in order.
local function read_journals(ids, records)
  local fields, owners, journals = {}, {}, {}
  for i, id in ipairs(ids) do
    journals[id] = {}
    for position = 1, records[i][JOURNAL] do
      fields[#fields + 1], owners[#owners + 1] = journal_field(id, position), id
    end
  end
  for first = 1, #fields, 4000 do
    local last = math.min(#fields, first + 3999)
    for i, entry in ipairs(redis.call('HMGET', journal, unpack(fields, first, last))) do
      local entries = journals[owners[first + i - 1]]
      entries[#entries + 1] = entry
    end
  end
  return journals
end

local MOST_BODIES = 1048576 -- bytes of events' bodies that one exchange brings; workers read the rest themselves
local room = MOST_BODIES

-- Appends to `leases` six values a task: id, spec, run, 1 for an isolated one, journal, and what `tell_unread` says of
-- its events, with the bodies of those that it awaited.
-- packed: the records again, as they are stored; bodies: the values of `specs`.
local function describe(leases, ids, bodies, records, packed, is_isolated)
  local journals = read_journals(ids, records)
  for i, id in ipairs(ids) do
    local run, n = records[i], #leases
    leases[n + 1], leases[n + 2], leases[n + 3] = id, bodies[i], packed[i]
    leases[n + 4], leases[n + 5] = is_isolated, journals[id]
    leases[n + 6] = {}
    if run[INBOX] > 0 then leases[n + 6], room = tell_unread(id, run[AWAITS], room) end
  end
end

local function lease(leases, ids, worker, expires_ms, now_ms, is_isolated)
  if #ids == 0 then return end
  local records, bodies = redis.call('HMGET', runs, unpack(ids)), redis.call('HMGET', specs, unpack(ids))
  local fence, packed = redis.call('HINCRBY', meta, 'fence', #ids) - #ids, {}
  for i, id in ipairs(ids) do
    local run, head = records[i] and read_run(records[i]), nil
    if not run then
      head = read_spec(bodies[i])
      run = first_run(id, head)
    end
    enter(run, 'running')
    run[WORKER], run[FENCE] = worker, fence + i
    -- Callers' readings of the store's time differ by a little, and no attempt shall seem to begin before
    -- its task was ready.
    local began_ms = math.max(now_ms, run[SINCE])
    -- One that was parked goes on with its attempt; any other begins one.
    if run[RESUMES] == 0 then run[ATTEMPT], run[ACTIVE], run[BEGAN] = run[ATTEMPT] + 1, 0, began_ms end
    run[RESUMES] = 0
    if run[STARTED] == 0 then
      run[STARTED] = began_ms
      if run[MAX_ATTEMPTS] > 0 then -- else it is a poller
        note_start((head or read_spec(bodies[i]))[SPEC_NAME], began_ms - run[SINCE])
      end
    end
    records[i], packed[i] = run, pack_run(run)
    collect(writes.runs, id, packed[i])
    collect(writes.leased, expires_ms, id)
  end
  describe(leases, ids, bodies, records, packed, is_isolated)
  flush()
end

-- ZPOPMIN's reply without its scores.
local function pop(key, count)
  local popped, ids = redis.call('ZPOPMIN', key, count), {}
  for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
  return ids
end
