-- Compare and set of one consumer's position, after a forget or at the very first start.
-- KEYS  1 position     ARGV  1 the position expected, '' for none   2 the new one
-- Reply {1}, or {0, the stored position}
local stored = redis.call('GET', KEYS[1]) or ''
if stored ~= ARGV[1] then return { 0, stored } end
redis.call('SET', KEYS[1], ARGV[2])
return { 1 }
