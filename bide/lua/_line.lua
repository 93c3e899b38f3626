-- Where a task stands in the line: those of a higher priority first, then as they came.
-- Uses: _run.
local BAND = 562949953421312 -- 2^49: ten of them fit the integers of a score

-- seq: from the counter `seq`.
local function place(run, seq) return (9 - run[PRIORITY]) * BAND + seq end
