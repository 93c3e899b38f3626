-- Every task of the slot in the order of its acceptance, many in one member of `log`, whose score is its
-- number: ids. The latest such page is still open, and stands in the field `page` of `meta`: its number
-- (4 bytes), and ids.
-- Uses: meta, log.

-- Takes tasks out. pages: by the page's number, a set of ids.
local function unlog(pages)
  local open = redis.call('HGET', meta, 'page')
  local open_number = open and struct.unpack('>I4', open)
  for number, gone in pairs(pages) do
    local old = number == open_number and string.sub(open, 5)
      or redis.call('ZRANGE', log, number, number, 'BYSCORE')[1] or ''
    local left = {}
    for first = 1, #old, 16 do
      local id = string.sub(old, first, first + 15)
      if not gone[id] then left[#left + 1] = id end
    end
    if number == open_number then
      redis.call('HSET', meta, 'page', struct.pack('>I4', number) .. table.concat(left))
    elseif #left * 16 < #old then
      redis.call('ZREM', log, old)
      if #left > 0 then redis.call('ZADD', log, number, table.concat(left)) end
    end
  end
end
