-- Forgets finished tasks whose retention has ended.
-- Uses: _run, _done, _erase, specs, runs, done, revived.

-- Of a task that was retried, whether it ended here: a place that it has left since stays on its shelf.
local function ended_here(id, score)
  local record = redis.call('HGET', runs, id)
  local run = record and read_run(record)
  return run and run[FINISHED] > 0 and shelf_of(run) == score
end

-- The ids on these shelves, but for those that have left them, or are in `taken`; with their values of `specs`,
-- and how many were looked at. shelves: pairs of a member of `done` and its score.
local function still_there(shelves, taken)
  local ids, scores, left, values = {}, {}, {}, {}
  for _, shelf in ipairs(shelves) do
    for first = 5, #shelf[1], 16 do
      ids[#ids + 1], scores[#scores + 1] = string.sub(shelf[1], first, first + 15), shelf[2]
    end
  end
  local was_retried = redis.call('HMGET', revived, unpack(ids))
  for i, value in ipairs(redis.call('HMGET', specs, unpack(ids))) do
    local id = ids[i]
    if value and not taken[id] and (not was_retried[i] or ended_here(id, scores[i])) then
      left[#left + 1], values[#values + 1], taken[id] = id, value, true
    end
  end
  return left, values, #ids
end

-- Empties shelves whole, so that they may be a few more than `limit`. Returns how many ids it has looked at, and
-- no less than `limit` when there may be more.
local function prune(now_ms, limit)
  local most = math.ceil(limit / SHELF)
  local found = redis.call('ZRANGE', done, '-inf', now_ms + 0.75, 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
  if #found == 0 then return 0 end
  local shelves, members, gauges, taken, looked = {}, {}, {}, {}, 0
  for i = 1, #found, 2 do
    local score = tonumber(found[i + 1])
    local state = ENDS[score % 1 * 4 + 1]
    shelves[state] = shelves[state] or {}
    members[#members + 1] = found[i]
    shelves[state][#shelves[state] + 1] = { found[i], score }
  end
  for state, of_state in pairs(shelves) do
    local ids, values, there = still_there(of_state, taken)
    erase(ids, values)
    add_to_gauge(gauges, state, -#ids)
    looked = looked + there
  end
  redis.call('ZREM', done, unpack(members))
  add_to_gauges(gauges)
  return #members == most and math.max(looked, limit) or looked
end
