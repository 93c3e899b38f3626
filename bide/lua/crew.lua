-- Reads the workers of a queue and what they hold: whoever was heard of lately, or holds one of the leases
-- that end first.
-- Transition: none
-- KEYS[1] specs: what was submitted
-- KEYS[2] runs: how far each task came
-- KEYS[3] leased: running tasks by the end of their lease
-- KEYS[4] workers: when each worker was last heard of
-- KEYS[5] ledgers: what each worker's last exchange said
-- ARGV[1] now_ms: the server's time
-- ARGV[2] silent_ms: how long ago a worker without tasks may have been heard of
-- ARGV[3] most: workers heard of lately, and leases, of each; at most 100
-- Returns: {workers ({name, heard of in ms, life begun in ms, places free, 1 when it may lease, 1 when it
--   leases nothing more, tasks}, ...), leases ({id, spec without arguments, worker, attempt, attempt begun in
--   ms, end in ms}, ...)}
-- Errors: none
-- When full: reads
-- Fence: none, reads only
-- Cost: 5 commands, and 1 for each worker that holds a lease and was not heard of lately
local specs, runs, leased, workers, ledgers = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
--- include _run
--- include _ledger
local now_ms, silent_ms, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local names, heard, crew, leases = {}, {}, {}, {}

local function add(name, heard_ms)
  if not heard[name] then names[#names + 1] = name end
  heard[name] = heard_ms
end

local since_ms = now_ms - silent_ms
local lately = redis.call('ZRANGE', workers, '+inf', since_ms, 'BYSCORE', 'REV', 'LIMIT', 0, most, 'WITHSCORES')
for i = 1, #lately, 2 do add(lately[i], tonumber(lately[i + 1])) end

local first, ids, ends_ms = redis.call('ZRANGE', leased, 0, most - 1, 'WITHSCORES'), {}, {}
for i = 1, #first, 2 do ids[#ids + 1], ends_ms[#ends_ms + 1] = first[i], tonumber(first[i + 1]) end
if #ids > 0 then
  local records = redis.call('HMGET', runs, unpack(ids))
  for i, value in ipairs(redis.call('HMGET', specs, unpack(ids))) do
    local run = read_run(records[i])
    if not heard[run[WORKER]] then
      add(run[WORKER], tonumber(redis.call('ZSCORE', workers, run[WORKER]) or 0))
    end
    if run[MAX_ATTEMPTS] > 0 then
      local size = #value >= 6 and 6 + struct.unpack('>I2', value, 5) or 0 -- it may be damaged
      leases[#leases + 1] = {
        ids[i], string.sub(value, 1, size), run[WORKER], run[ATTEMPT], run[BEGAN], ends_ms[i],
      }
    end
  end
end

if #names > 0 then
  for i, packed in ipairs(redis.call('HMGET', ledgers, unpack(names))) do
    local ledger = packed and cmsgpack.unpack(packed)
    if ledger then
      crew[#crew + 1] = {
        names[i], heard[names[i]], ledger[CAME], ledger[FREE], ledger[ADMITTED], ledger[LEAVES], ledger[TASKS],
      }
    end
  end
end
return { crew, leases }
