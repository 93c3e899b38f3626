-- The fields of a task's journal: its id and the entry's position, two bytes, from 1.
local function journal_field(id, position)
  return id .. string.char(math.floor(position / 256), position % 256)
end

local function collect_fields(list, id, count)
  for position = 1, count do list[#list + 1] = journal_field(id, position) end
end
