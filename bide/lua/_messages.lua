-- What a worker has to say, in its order: entries of journals, progress, lines of logs, ends of leases, and
-- what shared pollers found and are asked for.
-- Transition: running -> succeeded, running -> failed, running -> cancelled, running -> retrying,
--   running -> ready, running -> waiting, waiting -> ready, none -> waiting
-- Uses: _run, _writes, _journal, _lines, _inbox, _settle, _watch, runs, progress.
local VERBS = {}

function VERBS.journal(run, id, fence, position, entry, event)
  if not run or run[FENCE] ~= fence or run[STATE] ~= 'running' then return false end
  collect(writes.journal, journal_field(id, position), entry)
  if position > run[JOURNAL] then
    run[JOURNAL] = position
    keep(id, run)
  end
  if event ~= '0' then take_event(id, tonumber(event)) end
  return true
end

function VERBS.progress(run, id, fence, _, said)
  if not run or run[FENCE] ~= fence then return false end
  redis.call('HSET', progress, id, said)
  return true
end

function VERBS.lines(run, id, fence, _, packed)
  if not run or run[FENCE] ~= fence or run[STATE] ~= 'running' then return false end
  add_lines(id, split_lines(packed))
  return true
end

function VERBS.deliver(run, id, polls, billed_us, body, name, now_ms)
  -- A task that ended meanwhile needs no answer.
  if run and run[FINISHED] == 0 and deliver(run, id, name, body, now_ms) then
    run[POLLS], run[BILLED] = run[POLLS] + polls, run[BILLED] + billed_us
    count('polls', polls)
    keep(id, run)
  end
  return true
end

function VERBS.unwatch(_, _, _, _, member)
  unwatch(member)
  return true
end

-- first: where the messages begin in ARGV, six values each. Returns the positions of those that no
-- longer counted, from 0.
local function hear(first, now_ms)
  local ids, seen, lost = {}, {}, {}
  for i = first, #ARGV, 6 do ids[#ids + 1] = ARGV[i] end
  for n, record in ipairs(redis.call('HMGET', runs, unpack(ids))) do
    local i, id = first + (n - 1) * 6, ids[n]
    -- A lease may be settled twice here: handed back, and through after all. The first counts.
    local run = seen[id] or record and read_run(record) or nil
    local fence, verb, number, body, extra =
      tonumber(ARGV[i + 1]), ARGV[i + 2], tonumber(ARGV[i + 3]), ARGV[i + 4], ARGV[i + 5]
    local counted
    if verb == 'watch' then
      run, counted = watch(run, id, extra, body, number, now_ms), true
    elseif VERBS[verb] then
      counted = VERBS[verb](run, id, fence, number, body, extra, now_ms)
    else
      counted = settle(run, id, fence, verb, number, body, extra, now_ms)
    end
    seen[id] = run
    if not counted then lost[#lost + 1] = n - 1 end
  end
  return lost
end
