-- A run record, packed: the fields of `Run` in bide/records.py, in its order.
local STATE, ATTEMPT, MAX_ATTEMPTS, FENCE, WORKER = 1, 2, 3, 4, 5
local RETENTION, STARTED, FINISHED, DUE, CANCELLING = 6, 7, 8, 9, 10
local EXPIRES, DEADLINE, JOURNAL, INBOX, AWAITS = 11, 12, 13, 14, 15
local PARKED, RESUMES, ACTIVE, BILLED, WAITED = 16, 17, 18, 19, 20
local REPLAYS, POLLS, EXITS = 21, 22, 23
