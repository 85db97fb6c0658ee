-- A consumer's batch, in one atomic call (PROTOCOL.md, "A consumer's batch is one atomic call").
--
-- KEYS  1 position of cache-invalidator   2 position of cache-warmer   3.. the fence of each of V views   then one key an operation
-- ARGV  1 role: i invalidate, w warm, b both
--       2 the position that the invalidator continues from, '' for none (looked at in roles i and b)
--       3 the position that the warmer continues from (roles w and b)
--       4 the position that this call reaches: <history>|<text that sorts>
--       5 V, then for each view: code, kind (s row, h list, q query), policy (a all, c cached, n none)
--       then for each operation, one for a key: <kind><view, 1..V>;<ttl s>;<n>, stamp, and what its kind needs
--         v  document          the row's last state      g  the row is gone      i  invalidate, no more
--         r  invalidate and fill anew (policy all: whatever was there; cached: if it was there)
--         p  no change: fill if it is not there (a snapshot row)
--         l  n times (member, <lsn>|<xids>, document or '' for gone)   members of a list
--       A stamp: <greatest lsn>|<xids, comma separated>, in roles i and w |<last position, without the history> behind it
-- Reply 1, then the numbers (1..) of the operations whose keys are to be filled; or 0, both stored positions ('' for none):
--       then nothing was written.
--
-- Several changes of a key in one call are one operation, with the GREATEST lsn of them and the value of the last: a
-- heap insert's WAL record precedes its wait in a unique index, so when a key is deleted and inserted again, the insert may
-- have the lower LSN although its transaction commits later.
--
-- All writes but the last are of keys, the last ones are the positions: an error in between leaves the old positions, and the
-- batch is delivered again. Writes use redis.call: a reply like OOM must end the call.

local role, reached = ARGV[1], ARGV[4]
local storedInvalidator, storedWarmer = redis.call('GET', KEYS[1]) or '', redis.call('GET', KEYS[2]) or ''
if (role ~= 'w' and storedInvalidator ~= ARGV[2]) or (role ~= 'i' and storedWarmer ~= ARGV[3]) then
  return { 0, storedInvalidator, storedWarmer }
end

local LONGEST_LEASE = 4096 -- bytes; beyond, the lease ends: the safe side, and it cannot grow without bound

local viewCount = tonumber(ARGV[5])
local views, at = {}, 6
for v = 1, viewCount do
  local fence = redis.call('GET', KEYS[2 + v])
  views[tostring(v)] = { code = ARGV[at], kind = ARGV[at + 1], policy = ARGV[at + 2], fence = fence and sub(fence, 1, 16) or '' }
  at = at + 3
end

local firstKey = 2 + viewCount
local count = #KEYS - firstKey

-- Most operations of a call begin with the same few texts.
local forms = {}
local function formOf(text)
  local form = forms[text]
  if not form then
    local kind, view, ttl, members = match(text, '^(%a)(%d+);(%d*);(%d*)$')
    form = { kind = kind, view = views[view], ttl = ttl, members = tonumber(members) }
    forms[text] = form
  end
  return form
end

local LEASE, FENCE, ANSWERED, ABSENT = '}:lease', '}:fence', '}:answered', '}:absent'
local function sideKey(i, suffix) return '{' .. KEYS[firstKey + i] .. suffix end

-- The values of these operations' keys, or of keys beside them: by number, false for none.
local function look(numbers, suffix)
  local keys, found = {}, {}
  for n, i in ipairs(numbers) do keys[n] = suffix and sideKey(i, suffix) or KEYS[firstKey + i] end
  for n, value in ipairs(getMany(keys)) do found[numbers[n]] = value end
  return found
end

-- What is not looked up costs nothing, and a lookup is most of what a key costs. So only what can matter is looked for:
--   a fence, unless one call serves both consumers and they stood at the same place: then the warmer has passed all there are
--   an absence, unless the key has a value: who stores one ends the other, in the same call
--   a mark, only where a value is about to be created
local starts, changes, rows, absents, creations, lists = {}, {}, {}, {}, {}, {}
for i = 1, count do
  local form = formOf(ARGV[at])
  starts[i] = at
  at = at + 2
  if form.kind ~= 'p' then changes[#changes + 1] = i end
  if form.kind == 'v' then
    rows[#rows + 1] = i
    at = at + 1
  else
    absents[#absents + 1] = i
    if form.view.kind == 'h' then lists[#lists + 1] = i end
    if form.kind == 'l' then at = at + 3 * form.members end
  end
end
local leases = look(changes, LEASE)
local areTogether = role == 'b' and storedWarmer ~= '' and storedInvalidator == storedWarmer
local fences = areTogether and {} or look(changes, FENCE)
local texts = look(rows)
for _, i in ipairs(rows) do
  if not texts[i] then
    absents[#absents + 1] = i
    if role ~= 'i' then creations[#creations + 1] = i end
  end
end
local absences = look(absents, ABSENT)
local marks = look(creations, ANSWERED)

-- Of a `cached` view few lists are there: one question tells it of sixteen.
local missing = {}
for from = 1, #lists, 16 do
  local keys = {}
  for n = from, math.min(from + 15, #lists) do keys[#keys + 1] = KEYS[firstKey + lists[n]] end
  if redis.call('EXISTS', unpack(keys)) == 0 then
    for n = from, from + #keys - 1 do missing[lists[n]] = true end
  end
end

-- The warmer's position, if it is one of this history: others cannot be compared, and count as not passed.
local history = match(reached, '^(.*|)') or ''
local warmerPosition = sub(storedWarmer, 1, #history) == history and sub(storedWarmer, #history + 1) or ''

local function note(leaseKey, lease, xids)
  for xid in gmatch(xids, '%d+') do
    if not find(lease, ';' .. xid .. ';', 1, true) then
      if #lease > LONGEST_LEASE then
        redis.call('UNLINK', leaseKey)
        return
      end
      redis.call('APPEND', leaseKey, xid .. ';')
      lease = lease .. xid .. ';'
    end
  end
end

-- A fence: <lsn>|<position>|<+ if a value was there when it was raised>
local function raiseFence(key, fence, lsn, position, wasThere)
  local fenceLsn, fencePosition, mark = '', '', ''
  if fence then fenceLsn, fencePosition, mark = match(fence, '^(%x*)|([^|]*)|(%+?)$') end
  if not fenceLsn then fenceLsn, fencePosition, mark = '', '', '' end
  if lsn > fenceLsn then fenceLsn = lsn end
  if position > fencePosition then fencePosition = position end
  redis.call('SET', key, fenceLsn .. '|' .. fencePosition .. '|' .. (wasThere and '+' or mark))
end

local function applyMembers(key, entry, from, members)
  local hasChanged = false
  for _ = 1, members do
    local member, lsn, xids, document = ARGV[from], sub(ARGV[from + 1], 1, 16), sub(ARGV[from + 1], 18), ARGV[from + 2]
    if not areAllVisible(xids, entry.snapshot) then
      local present = redis.call('HGET', key, member)
      local version = present and match(present, '^{"_v":"([^"]*)"')
      local memberLsn = version and entryOf(version).lsn
      if not (memberLsn and memberLsn >= lsn) then
        if document ~= '' then
          redis.call('HSET', key, member, document)
        elseif present then
          redis.call('HDEL', key, member)
        end
        hasChanged = true
      end
    end
    from = from + 3
  end
  return hasChanged
end

local reply = { 1 }

for i = 1, count do
  local key, form, stamp = KEYS[firstKey + i], formOf(ARGV[starts[i]]), ARGV[starts[i] + 1]
  local kind, view, ttl = form.kind, form.view, form.ttl
  local lsn, xids, position = sub(stamp, 1, 16), sub(stamp, 18), ''
  if role ~= 'b' then xids, position = match(xids, '^(.*)|(.*)$') end
  local lease, fence, answered, absent = leases[i], fences[i], marks[i], absences[i]

  if kind == 'p' then
    if role ~= 'i' and not absent and redis.call('EXISTS', key) == 0 then reply[#reply + 1] = i end
  else
    if lease then note(sideKey(i, LEASE), lease, xids) end
    if absent and isOlder(entryOf(absent), lsn, xids) then
      redis.call('UNLINK', sideKey(i, ABSENT))
      absent = false
    end
    local entry
    if texts[i] then
      entry = entryOfText(texts[i])
    elseif view.kind == 'h' then
      if not missing[i] then entry = listEntry(key) end
    elseif not (kind == 'v' and view.policy == 'a' and role ~= 'i') then -- then whatever a stranger put there is replaced
      entry = documentEntry(key)
    end

    if role == 'i' then
      local hasWarmerPassed = warmerPosition ~= '' and warmerPosition >= position
      local isRemoved = false
      -- a list to which the warmer has already brought this change cannot show it by its own version
      if entry and isOlder(entry, lsn, xids) and not (view.kind == 'h' and hasWarmerPassed and entry.code == view.code) then
        redis.call('UNLINK', key)
        isRemoved = true
      end
      -- Where no change creates an entry, a fence only tells the warmer that one was there.
      if not hasWarmerPassed and ((view.policy == 'a' and view.kind == 's') or (view.policy ~= 'n' and (isRemoved or fence))) then
        raiseFence(sideKey(i, FENCE), fence, lsn, position, isRemoved)
      end
    else
      local isFenced, isFencePassed, wasThere = false, false, false
      if fence then
        local fenceLsn, fencePosition, mark = match(fence, '^(%x*)|([^|]*)|(%+?)$')
        isFencePassed = not fenceLsn or fenceLsn <= lsn or (position ~= '' and fencePosition ~= '' and fencePosition <= position)
        isFenced = not isFencePassed
        wasThere = isFencePassed and mark == '+'
      end
      local isForeign = entry ~= nil and entry.code ~= view.code
      if kind == 'v' then
        local document = ARGV[starts[i] + 2]
        if entry then
          if isOlder(entry, lsn, xids) then
            redis.call('SETEX', key, ttl, document)
          elseif isForeign then
            redis.call('UNLINK', key)
          end
        elseif view.policy == 'a' or wasThere then
          local isBehindOthers = isFenced or absent or view.fence > lsn
          local isBehindAnswer = (answered and answered > lsn)
          if not isBehindOthers and not isBehindAnswer then
            redis.call('SETEX', key, ttl, document)
          elseif view.policy ~= 'a' or not isBehindOthers then
            -- Behind an answer only a read tells what is newest; nobody else would come to warm the key.
            reply[#reply + 1] = i
          end
        end
      elseif kind == 'l' then
        if not entry then
          if wasThere or view.policy == 'a' then reply[#reply + 1] = i end
        elseif isForeign or not entry.snapshot then
          redis.call('UNLINK', key)
          reply[#reply + 1] = i
        elseif applyMembers(key, entry, starts[i] + 2, form.members) then
          redis.call('EXPIRE', key, ttl)
        end
      else -- g, i, r
        local isLeft = entry ~= nil
        if entry and (isForeign or isOlder(entry, lsn, xids)) then
          redis.call('UNLINK', key)
          isLeft = false
          wasThere = true
        end
        if kind == 'r' and not isLeft and not absent and (view.policy == 'a' or (view.policy == 'c' and wasThere)) then
          reply[#reply + 1] = i
        end
      end
      if isFencePassed then redis.call('UNLINK', sideKey(i, FENCE)) end
    end
  end
end

if role ~= 'w' then redis.call('SET', KEYS[1], reached) end
if role ~= 'i' then redis.call('SET', KEYS[2], reached) end
return reply
