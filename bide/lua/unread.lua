-- Reads what a task has not read of its events.
-- Transition: none
-- KEYS[1] inbox: events that were not read
-- ARGV[1] id: 16 bytes
-- ARGV[2] name: of the events whose bodies are wanted
-- Returns: {number, size and name of each event, joined (see _unread), number, body, ... of those of that name}
-- Errors: none
-- When full: reads
-- Fence: none, reads only
-- Cost: 2 commands
local inbox = KEYS[1]
--- include _unread
return (tell_unread(ARGV[1], ARGV[2], math.huge))
