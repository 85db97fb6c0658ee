-- KEYS  documents     ARGV  1 LSN, 16 hex
-- Deletes them, but those that a change behind that LSN has made. Gives how many it deleted.
local removed = 0
for _, key in ipairs(KEYS) do
  local entry = documentEntry(key)
  if entry and not (entry.lsn and entry.lsn > ARGV[1]) then removed = removed + redis.call('UNLINK', key) end
end
return removed
