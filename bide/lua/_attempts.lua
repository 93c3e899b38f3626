-- The history of a task's attempts, packed: a list of them, each the fields of `Attempt` in bide/history.py
-- in their order. Of more than twenty the first ten and the last ten are kept.
-- A task that succeeds at its first attempt has none, as most do: its run tells as much.
-- Uses: _run, _writes, attempts.
local FIRST_ATTEMPTS, KEPT_ATTEMPTS = 10, 20
local MAX_MESSAGE = 500 -- bytes
local LOST_FAILURE = cjson.encode({ code = 'WORKER_LOST', message = 'The worker died or fell silent.' })
local histories, noted = {}, {}

collect(also, function()
  flush_one('HSET', attempts, histories)
  histories, noted = {}, {}
end)

-- The first bytes of a text, without half a character at their end.
local function shorten(text)
  local last = MAX_MESSAGE
  while last < #text and last > 0 and math.floor(string.byte(text, last + 1) / 64) == 2 do last = last - 1 end
  return string.sub(text, 1, last)
end

-- The code and the message of a failure in JSON; empty for what is none.
local function explain(failure)
  local is_json, said = pcall(cjson.decode, failure)
  if not is_json or type(said) ~= 'table' then return '', '' end
  local code, message = said.code, said.message
  return type(code) == 'string' and code or '', type(message) == 'string' and shorten(message) or ''
end

-- Writes down that the attempt under way has ended so. It has to be called before the run says so, and counts
-- once: whoever knows best how it ended says so first. A poller has no attempts, and a lease for what a task has
-- asked to be run at its end is none. failure: JSON, or empty.
local function note_attempt(id, run, outcome, failure, now_ms)
  if not recording or run[MAX_ATTEMPTS] == 0 or run[ENDING] ~= '' or noted[id] then return end
  local packed = run[ATTEMPT] > 1 and redis.call('HGET', attempts, id)
  local history = packed and cmsgpack.unpack(packed) or {}
  local code, message = explain(outcome == 'lost' and LOST_FAILURE or failure)
  -- Whoever began it may have read the store's time a little later.
  local ended_ms = math.max(now_ms, run[BEGAN])
  history[#history + 1] = { run[ATTEMPT], run[WORKER], run[BEGAN], ended_ms, outcome, code, message }
  if #history > KEPT_ATTEMPTS then table.remove(history, FIRST_ATTEMPTS + 1) end
  collect(histories, id, cmsgpack.pack(history))
  noted[id] = true
end
