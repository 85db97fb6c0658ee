-- KEYS  1 fence of a view     ARGV  1 LSN, 16 hex, or '' to raise the view's generation alone
-- A view's fence is <lsn of its newest TRUNCATE>|<its generation>: no change at or below that LSN creates an entry, and no fill
-- whose lease is from before is stored. The generation counts on for each view so that forgetting one leaves the others' fills alone.
local lsn, generation = match(redis.call('GET', KEYS[1]) or '', '^(%x*)|(%d+)$')
if not lsn then lsn, generation = '0000000000000000', '0' end
if ARGV[1] > lsn then lsn = ARGV[1] end
local raised = lsn .. '|' .. string.format('%.0f', tonumber(generation) + 1)
redis.call('SET', KEYS[1], raised)
return raised
