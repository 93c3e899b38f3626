-- Reads how many tasks of a queue are in each state, whether it is paused, and since when the task has waited
-- that has been ready longest.
-- Transition: none
-- KEYS[1] meta: the flag
-- KEYS[2] specs: what was submitted
-- KEYS[3] runs: how far each task came
-- KEYS[4] ready: tasks to lease
-- KEYS[5] isolated: ready tasks that must not share a worker
-- KEYS[6] leased: running tasks by the end of their lease
-- KEYS[7] stats: the gauges
-- Returns: {1 when paused or 0, since when in ms or 0, state, tasks in it, state, tasks in it, ...}
-- Errors: none
-- When full: reads
-- Fence: none, reads only
-- Cost: 11 commands, and 1 for each further priority that has ready tasks
local meta, specs, runs, ready = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local isolated, leased, stats = KEYS[5], KEYS[6], KEYS[7]
--- include _run
--- include _line
local PRIORITIES, POLLER = 10, '\0\0\0\0\0\0'
local STATES = { 'scheduled', 'waiting', 'retrying', 'succeeded', 'failed', 'cancelled', 'expired', '~ready', '~running' }
local heads = {}

-- The first task of each priority, in one of the lines; pollers that stand before it are passed over.
local function find_heads(line)
  local from = '-inf'
  for _ = 1, PRIORITIES do
    local first = redis.call('ZRANGE', line, from, '+inf', 'BYSCORE', 'LIMIT', 0, 10, 'WITHSCORES')
    if not first[1] then return end
    local after = (math.floor(tonumber(first[2]) / BAND) + 1) * BAND
    for i = 1, #first, 2 do
      if string.sub(first[i], 1, 6) ~= POLLER then
        if tonumber(first[i + 1]) < after then heads[#heads + 1] = first[i] end
        break
      end
    end
    from = string.format('%.0f', after)
  end
end

find_heads(ready)
find_heads(isolated)
local since_ms = 0
for _, run in ipairs(#heads > 0 and load_runs(heads) or {}) do
  if since_ms == 0 or run[SINCE] < since_ms then since_ms = run[SINCE] end
end

local fields, told = {}, {}
for i, state in ipairs(STATES) do fields[i] = 'now/' .. state end
for i, n in ipairs(redis.call('HMGET', stats, unpack(fields))) do told[STATES[i]] = tonumber(n or 0) end
local reply = { redis.call('HGET', meta, 'paused') and 1 or 0, since_ms }
local function tell(state, n) reply[#reply + 1], reply[#reply + 2] = state, n end
tell('ready', redis.call('ZCARD', ready) + redis.call('ZCARD', isolated) - told['~ready'])
tell('running', redis.call('ZCARD', leased) - told['~running'])
for i = 1, 7 do tell(STATES[i], told[STATES[i]]) end
return reply
