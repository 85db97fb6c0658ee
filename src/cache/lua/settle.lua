-- Step 3 of a reader (PROTOCOL.md), for many keys of one view, after ONE read of the database.
--
-- KEYS  1 generation   2 fence of the view   3.. keys
-- ARGV  1 kind of the view (s, h, q)   2 its code   3 the reader's lease token   4 the generation that came with it
--       5 pg_snapshot of the read   6 WAL insert LSN after it   7 mark ms   8 absence ms, 0: absence is not stored
--       then for each key:
--         how: k  what is there by now is the answer
--              e  it is not: treat it as evicted (Redis is not trusted at the moment)
--              t, xid, lsn   it is if it includes that write (L7), else treat it as evicted
--         what: v, ttl s, document          store
--               h, ttl s, n, n times (member, document)
--               a                           no such row: store its absence
--               x                           store nothing
-- Reply for each key: {'k', document} or {'k', field, value, ...} or {'a', version} (absent): the answer is what is there;
--       {'s'} stored, {'n'} not stored: the answer is what was read.
--
-- An absence is an entry like any other: answered if it is there, replaced if it is older, ended by what is not stored.

local kind, code, token, generation = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local snapshotText, bound, markMs, absenceMs = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local snapshot = snapshotOf(snapshotText)
if not snapshot then return redis.error_reply('ERR not a pg_snapshot') end
local version = code .. '|r|' .. snapshotText

local count = #KEYS - 2
local sideKeys = {}
for i = 1, count do
  local tag = '{' .. KEYS[2 + i] .. '}:'
  sideKeys[3 * i - 2], sideKeys[3 * i - 1], sideKeys[3 * i] = tag .. 'lease', tag .. 'answered', tag .. 'absent'
end
local side = getMany(sideKeys)
local isGeneration = generation == (redis.call('GET', KEYS[1]) or '0') .. '/' .. (redis.call('GET', KEYS[2]) or '')

local function mayStore(lease)
  if not (isGeneration and lease and token ~= '' and sub(lease, 1, #token + 1) == token .. ';') then return false end
  for xid in gmatch(sub(lease, #token + 2), '%d+') do
    if not isVisible(xid, snapshot) then return false end
  end
  return true
end

local function storeList(key, ttl, from, members)
  redis.call('UNLINK', key)
  redis.call('HSET', key, '_v', version)
  local to = from + 2 * members - 1
  while from <= to do
    local last = math.min(from + 3999, to)
    redis.call('HSET', key, unpack(ARGV, from, last))
    from = last + 1
  end
  redis.call('EXPIRE', key, ttl)
end

local reply = {}
local at = 9
for i = 1, count do
  local key = KEYS[2 + i]
  local leaseKey, answeredKey, absentKey = sideKeys[3 * i - 2], sideKeys[3 * i - 1], sideKeys[3 * i]
  local lease, answered, absent = side[3 * i - 2], side[3 * i - 1], side[3 * i]

  local how, xid, lsn = ARGV[at], nil, nil
  at = at + 1
  if how == 't' then
    xid, lsn = ARGV[at], ARGV[at + 1]
    at = at + 2
  end
  local what, ttl, document, members, firstMember = ARGV[at], nil, nil, nil, nil
  at = at + 1
  if what == 'v' then
    ttl, document = ARGV[at], ARGV[at + 1]
    at = at + 2
  elseif what == 'h' then
    ttl, members, firstMember = ARGV[at], tonumber(ARGV[at + 1]), at + 2
    at = firstMember + 2 * members
  end

  local function isAnswer(entry)
    return entry.code == code and (how == 'k' or (how == 't' and satisfies(key, entry, xid, lsn)))
  end

  local answer
  local entry
  if kind == 'h' then entry = listEntry(key) else entry = documentEntry(key) end
  if entry then
    if isAnswer(entry) then
      if kind == 'h' then
        answer = redis.call('HGETALL', key)
        table.insert(answer, 1, 'k')
      else
        answer = { 'k', redis.call('GET', key) }
      end
    else
      redis.call('UNLINK', key)
    end
  end
  if not answer and absent then
    if not entry and isAnswer(entryOf(absent)) then
      answer = { 'a', absent }
    else
      redis.call('UNLINK', absentKey)
    end
  end

  if answer then
    if lease and token ~= '' and sub(lease, 1, #token + 1) == token .. ';' then redis.call('UNLINK', leaseKey) end
  else
    redis.call('SET', answeredKey, answered and answered > bound and answered or bound, 'PX', markMs)
    answer = { 'n' }
    if what ~= 'x' and mayStore(lease) then
      if what == 'v' then
        redis.call('SET', key, document, 'EX', ttl)
        answer = { 's' }
      elseif what == 'h' then
        storeList(key, ttl, firstMember, members)
        answer = { 's' }
      elseif absenceMs ~= '0' then
        redis.call('SET', absentKey, version, 'PX', absenceMs)
        answer = { 's' }
      end
    end
    -- An answer that is not stored ends the lease of whoever holds it.
    redis.call('UNLINK', leaseKey)
  end
  reply[i] = answer
end
return reply
