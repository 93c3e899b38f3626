-- Reads a page of a task's log.
-- Transition: none
-- KEYS[1] specs: what was submitted
-- KEYS[2] runs: how far it came
-- KEYS[3] lines: tasks' logs
-- ARGV[1] id: 16 bytes
-- ARGV[2] tenant: who asks; another tenant's task is not found
-- ARGV[3] after: number of the last line that was read
-- ARGV[4] most: lines to answer with, at most 100
-- Returns: {1 when the task is done, number of the task's last line, of the first on the page, lines...}
-- Errors: TASK_NOT_FOUND
-- When full: reads
-- Fence: none, reads only
-- Cost: 4 commands
local specs, runs, lines = KEYS[1], KEYS[2], KEYS[3]
--- include _run
--- include _lines
local id = ARGV[1]
local run, head = load_task(id)
if not run or head[SPEC_TENANT] ~= ARGV[2] then return { 'TASK_NOT_FOUND' } end
local last, fields = last_line(id), {}
local first = math.max(tonumber(ARGV[3]), last - KEPT_LINES) + 1
for number = first, math.min(last, first + tonumber(ARGV[4]) - 1) do fields[#fields + 1] = line_field(id, number) end
local found = #fields > 0 and redis.call('HMGET', lines, unpack(fields)) or {}
return { run[FINISHED] > 0 and 1 or 0, last, first, unpack(found) }
