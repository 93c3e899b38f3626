-- A run record, packed: the fields of `Run` in bide/records.py, in its order.
local STATE, ATTEMPT, MAX_ATTEMPTS, FENCE, WORKER = 1, 2, 3, 4, 5
local RETENTION, STARTED, FINISHED, DUE, CANCELLING = 6, 7, 8, 9, 10
