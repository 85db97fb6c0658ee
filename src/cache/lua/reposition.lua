-- Compare and set of one consumer's position, after a forget or at the very first start.
-- KEYS  1 position   2 what the forget raised, if there was one: a generation, or the fence of a view, which ends with one
-- ARGV  1 the position expected, '' for none   2 the new one   3 that generation
-- Reply {1}, or {0, the stored position}
--
-- A Redis that fell back behind the forget may hold the expected position, with all that was to be forgotten.
local stored = redis.call('GET', KEYS[1]) or ''
local isForgotten = not KEYS[2] or tonumber(match(redis.call('GET', KEYS[2]) or '', '(%d+)$') or '-1') >= tonumber(ARGV[3])
if stored ~= ARGV[1] or not isForgotten then return { 0, stored } end
redis.call('SET', KEYS[1], ARGV[2])
return { 1 }
