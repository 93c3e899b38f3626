-- Pushes doorbell tokens, never more than there are listeners, and none for a paused queue. A token is a
-- hint: losing one or having one too many changes nothing but a moment.
-- Returns how many workers listen; 0 for a paused queue, as there is nothing to hear.
-- Uses: meta, listeners, bell.
local function ring(now_ms, wanted)
  local listening = redis.call('ZCOUNT', listeners, now_ms, '+inf')
  if listening == 0 or redis.call('HGET', meta, 'paused') then return 0 end
  local missing = math.min(wanted, listening - redis.call('LLEN', bell))
  for _ = 1, missing do redis.call('RPUSH', bell, '1') end
  return listening
end
