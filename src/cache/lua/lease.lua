-- Step 1 of a reader (PROTOCOL.md), for many keys of one view: what is there, or the right to fill it.
--
-- KEYS  1 generation   2 fence of the view   3.. keys
-- ARGV  1 kind of the view (s, h, q)   2 its code   3 token   4 lease ms
--       then for each key 1 if a value that is there is of no use to the reader (older than its freshness token), else 0
-- Reply the generation, then for each key:
--       {'v', document} or {'v', field, value, ...}   there
--       {'a', version}                                known not to exist
--       {'l'}   the lease is this reader's            {'n'}   somebody else's

local kind, code, token, leaseMs = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local count = #KEYS - 2
local sideKeys = {}
for i = 1, count do
  local tag = '{' .. KEYS[2 + i] .. '}:'
  sideKeys[2 * i - 1], sideKeys[2 * i] = tag .. 'lease', tag .. 'absent'
end
local side = getMany(sideKeys)
local reply = { (redis.call('GET', KEYS[1]) or '0') .. '/' .. (redis.call('GET', KEYS[2]) or '') }

for i = 1, count do
  local key = KEYS[2 + i]
  local found
  if ARGV[4 + i] ~= '1' then
    local entry
    if kind == 'h' then entry = listEntry(key) else entry = documentEntry(key) end
    if entry and entry.code == code then
      if kind == 'h' then
        found = redis.call('HGETALL', key)
        table.insert(found, 1, 'v')
      else
        found = { 'v', redis.call('GET', key) }
      end
    elseif not entry and side[2 * i] and entryOf(side[2 * i]).code == code then
      found = { 'a', side[2 * i] }
    end
  end
  if not found then
    -- MGET shows nothing of another type, so NX and not what it showed decides
    if not side[2 * i - 1] and redis.call('SET', sideKeys[2 * i - 1], token .. ';', 'NX', 'PX', leaseMs) then
      found = { 'l' }
    else
      found = { 'n' }
    end
  end
  reply[1 + i] = found
end
return reply
