-- KEYS  documents     ARGV  1 LSN, 16 hex   2 xid of the change at that LSN, '' if it has none
-- Deletes them, but those that are from behind it: made by a later change, or read when its transaction was visible. Gives how many
-- it deleted.
local lsn, xid = ARGV[1], ARGV[2]
local removed = 0
for _, key in ipairs(KEYS) do
  local entry = documentEntry(key)
  if entry then
    local isBehind = (entry.lsn and entry.lsn > lsn) or (entry.snapshot and xid ~= '' and isVisible(xid, entry.snapshot))
    if not isBehind then removed = removed + redis.call('UNLINK', key) end
  end
end
return removed
