-- Finished tasks by the end of their retention, many in one member of `done`: that takes a quarter of the
-- memory. A member is a number (4 bytes), which grows within a score, and ids. The score is the end in ms,
-- rounded up by whole seconds, by at most a hundredth of the retention, and a fraction that tells the state.
-- A task that was retried leaves its id behind: `revived` has those tasks, whose runs tell where they ended last.
-- Uses: _run, done.
local SHELF = 24 -- ids in a member at most
local ENDS = { 'succeeded', 'failed', 'cancelled', 'expired' }
local FRACTIONS = { succeeded = 0, failed = 0.25, cancelled = 0.5, expired = 0.75 }

local function shelf_of(run)
  local grain = math.max(1, math.floor(run[RETENTION] / 100000) * 1000)
  return math.ceil((run[FINISHED] + run[RETENTION]) / grain) * grain + FRACTIONS[run[STATE]]
end

-- Puts finished tasks where their retention ends.
local function shelve(score, ids)
  local number, last = 0, redis.call('ZRANGE', done, score, score, 'BYSCORE', 'REV', 'LIMIT', 0, 1)[1]
  local joined = table.concat(ids)
  if last then
    number = struct.unpack('>I4', last)
    if #last - 4 + #joined <= 16 * SHELF then
      redis.call('ZREM', done, last)
      joined = string.sub(last, 5) .. joined
    else
      number = number + 1
    end
  end
  for first = 1, #joined, 16 * SHELF do
    redis.call('ZADD', done, score, struct.pack('>I4', number) .. string.sub(joined, first, first + 16 * SHELF - 1))
    number = number + 1
  end
end
