-- Which workers are awake, and which of them may lease.
-- Uses: _awake, _fleet, meta, workers, starting.

-- Lets a worker lease, or go on to, unless there are as many as may be or it is about to leave; takes what
-- the fleet has counted on it for so far out of the sums. Returns 1 when it may lease.
local function admit(ledger, is_new, is_leaving, seen, most)
  local was_admitted = not is_new and ledger[ADMITTED] == 1
  if was_admitted then seen.admitted, seen.free = seen.admitted - 1, seen.free - ledger[FREE] end
  if is_leaving or (not was_admitted and seen.admitted >= most) then return 0 end
  if not was_admitted and seen.starting > 0 then -- it may be the one that was started first
    redis.call('ZPOPMIN', starting)
    seen.starting = seen.starting - 1
  end
  seen.admitted = seen.admitted + 1
  return 1
end

-- A worker leaves. Returns whether it was still on the list.
local function note_leaving(now_ms, worker, ledger, seen)
  if ledger and ledger[ADMITTED] == 1 then
    seen.admitted, seen.free = seen.admitted - 1, seen.free - ledger[FREE]
  end
  local was_there = redis.call('ZREM', workers, worker) == 1
  if redis.call('ZCOUNT', workers, now_ms - AWAKE_MS, '+inf') == 0 then seen.awake_ms = 0 end
  return was_there
end
