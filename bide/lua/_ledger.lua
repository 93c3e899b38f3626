-- A ledger, packed: what a worker's last exchange did, and what the fleet counts on it for.
-- TASKS: that it holds. CAME: when its life began, in ms. LEAVES: 1 when it leases nothing more.
-- MOVES: what the exchange moved by itself, if it did; see _moves.
local BOOT, SEQ, LEASED_IDS, ISOLATED, LOST, FREE, ADMITTED = 1, 2, 3, 4, 5, 6, 7
local TASKS, CAME, LEAVES, MOVES = 8, 9, 10, 11
