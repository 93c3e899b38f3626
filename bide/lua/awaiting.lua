-- Which tasks still wait for a shared poller's answer, as far as their state tells.
-- Transition: none
-- KEYS[1] specs: what was submitted
-- KEYS[2] runs: how far each task came
-- ARGV[1...] waits: id and attempt of each, at most 100
-- Returns: a string with one character a wait: 1 while it may want an answer, 0 when it never will
-- Errors: none
-- When full: reads
-- Fence: none, reads only
-- Cost: 1 command
local specs, runs = KEYS[1], KEYS[2]
--- include _run
local ids, answers = {}, {}
for i = 1, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
for i, record in ipairs(redis.call('HMGET', runs, unpack(ids))) do
  local run = record and read_run(record)
  answers[i] = run and run[FINISHED] == 0 and run[ATTEMPT] == tonumber(ARGV[2 * i]) and '1' or '0'
end
return table.concat(answers)
