-- Put before every script of this folder. Versions (PROTOCOL.md, "Versions") as text:
--   <code>|e|<lsn, 16 hex>|<xid>          made from a change event
--   <code>|r|<pg_snapshot xmin:xmax:x,x>  made from a database read
-- In a document the version is the first member, {"_v":"...", so it is found without parsing the document.
-- LSNs are compared as strings of equal width; xids as numbers, exact below 2^53, and PostgreSQL will not get there.

local sub, find, match, gmatch = string.sub, string.find, string.match, string.gmatch

local snapshots = {}

-- nil for a text that is no snapshot
local function snapshotOf(text)
  local known = snapshots[text]
  if known then return known end
  local xmin, xmax, running = match(text, '^(%d+):(%d+):([%d,]*)$')
  if not xmin then return nil end
  known = { xmin = tonumber(xmin), xmax = tonumber(xmax), running = ',' .. running .. ',' }
  snapshots[text] = known
  return known
end

local function isVisible(xid, snapshot)
  local number = tonumber(xid)
  if number < snapshot.xmin then return true end
  return number < snapshot.xmax and not find(snapshot.running, ',' .. xid .. ',', 1, true)
end

-- xids: comma separated
local function areAllVisible(xids, snapshot)
  if not find(xids, ',', 1, true) then return xids == '' or isVisible(xids, snapshot) end
  for xid in gmatch(xids, '%d+') do
    if not isVisible(xid, snapshot) then return false end
  end
  return true
end

-- An entry: { code, lsn } or { code, snapshot }; without either it says nothing about itself, and is older than anything.
local function entryOf(version)
  local code, kind, rest = match(version, '^(%x+)|([er])|(.*)$')
  if kind == 'e' then
    local lsn = match(rest, '^(%x+)|%d+$')
    if lsn and #lsn == 16 then return { code = code, lsn = lsn } end
  elseif kind == 'r' then
    local snapshot = snapshotOf(rest)
    if snapshot then return { code = code, snapshot = snapshot } end
  end
  return {}
end

-- The entry of a document. Whatever a stranger put there is an entry that is older. Entries from changes are the common case,
-- and their parts stand at fixed places: {"_v":"cccccccc|e|llllllllllllllll|x...
local function entryOfText(text)
  if sub(text, 1, 7) ~= '{"_v":"' then return {} end
  if sub(text, 16, 18) == '|e|' and sub(text, 35, 35) == '|' then
    return { code = sub(text, 8, 15), lsn = sub(text, 19, 34) }
  end
  local version = match(text, '^{"_v":"([^"]*)"')
  return version and entryOf(version) or {}
end

-- The entry at a key that holds a document, nil if there is none, without reading all of it where that is not needed.
local function documentEntry(key)
  local head = redis.pcall('GETRANGE', key, '0', '34')
  if head == '' then return nil end
  if type(head) ~= 'string' then return {} end
  return entryOfText(sub(head, 16, 18) == '|e|' and head or redis.call('GET', key))
end

-- The transaction of an entry that a change made.
local function xidOf(key)
  return match(redis.call('GETRANGE', key, 35, 56), '^(%d+)"')
end

-- The entry at a key that holds a list: a list as a whole is always from a read.
local function listEntry(key)
  local version = redis.pcall('HGET', key, '_v')
  if type(version) == 'string' then return entryOf(version) end
  if version == false and redis.call('EXISTS', key) == 0 then return nil end
  return {}
end

local function isOlder(entry, lsn, xids)
  if entry.lsn then return entry.lsn < lsn end
  if entry.snapshot then return not areAllVisible(xids, entry.snapshot) end
  return true
end

-- L7: does an entry include the write of a freshness token? A member of a list says nothing about the others, so a list
-- is judged by its snapshot alone.
local function satisfies(key, entry, xid, lsn)
  if entry.lsn then return entry.lsn >= lsn or xidOf(key) == xid end
  return entry.snapshot ~= nil and isVisible(xid, entry.snapshot)
end

-- MGET of any number of keys: `unpack` is bounded by Lua's C stack (8,000).
local function getMany(keys)
  if #keys == 0 then return {} end
  if #keys <= 4000 then return redis.call('MGET', unpack(keys)) end
  local values = {}
  for from = 1, #keys, 4000 do
    local to = math.min(from + 3999, #keys)
    local some = redis.call('MGET', unpack(keys, from, to))
    for i = 1, to - from + 1 do values[from + i - 1] = some[i] end
  end
  return values
end
