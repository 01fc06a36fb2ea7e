-- commit appends one record if the session still stands at base. All of it or none of it, whatever interrupts it: phase A
-- only reads, and every read finds a key of the wrong type; phase B is the one write that may be refused; the writes of
-- phase C cannot fail; phase D is guarded.
--
-- A writer that came too late again and again may ask for the turn: until it has committed or the turn ends, nobody else
-- commits. The turn is a field of the head and a hint: order comes from base alone, and losing the turn costs nothing.
--
-- KEYS  1 head  2 log  3 nodes of base's generation  4 marks  5 undo  6 redo  7 undo data  8 redo data
--       9, 10 idempotency records  11 attachments  12 staged nodes (= 3 without)  13 tombstone
-- ARGV  1 epoch, 2 version, 3 digest of base    4 version, 5 digest after    6 record  7 delta
--       8 count, 9 sum of the nodes after    10 base's generation    11 staged generation or ''
--       12 stack operation: push, undo, redo, clear, none    13 version of the entry    14 the entry  15 its payload
--       16 depth of a stack    17 payload bytes of both stacks
--       18 idempotency key or ''    19 its record
--       20 commits kept, 0 keeps all    21 ms kept    22 bytes of log kept
--       23 channel or ''    24 message, '' for the record itself
--       25 … 29 how many values follow: nodes set, nodes gone, head fields, attachments set, attachments gone
--       30 writer    31 ms of the turn it asks for if it comes too late, or 0    32 '1': it has more to commit, and keeps its turn
--       33 how many records a writer that comes too late is given at most; 0: none
--
-- returns {1, published, dropped stack entries}     committed
--         {0, epoch, version, digest, log, records} the head is not at base; what the head says of the log, and the records
--                                                   from base on if they are few, else nothing
--         {2, record}                               the idempotency key was used before
--         {3}                                       the stack does not end with that version
--         {4, epoch, version, digest, ms}           it is another writer's turn, for so long at most
--         {-1, deleted}                             no such session
--         {-2, what, 'condemned'}                   the session is torn; the third only if that was known before
--         {-3}                                      the staged nodes are not all there

-- Phase A: look.
if ARGV[18] ~= '' then
  local known = redis.call('HGET', KEYS[9], ARGV[18]) or redis.call('HGET', KEYS[10], ARGV[18])
  if known then return {2, known} end
end
local head = redis.call('HMGET', KEYS[1], 'e', 'v', 'd', 'g', 'c', 'w', 'k', 'i', 'tn', 'x')
if not head[1] then return {-1, redis.call('EXISTS', KEYS[13])} end
if head[10] then return {-2, head[10], 'condemned'} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local holder, ends = string.match(head[9] or '', '^(%S+) (%d+)$')
if holder and holder ~= ARGV[30] and now < tonumber(ends) then return {4, head[1], head[2], head[3], ends - now} end
if head[1] ~= ARGV[1] or head[2] ~= ARGV[2] or head[3] ~= ARGV[3] then
  if ARGV[31] ~= '0' then redis.pcall('HSET', KEYS[1], 'tn', string.format('%s %d', ARGV[30], now + ARGV[31])) end
  local records = {}
  local first, bytes = string.match(head[7] or '', '^(%d+) (%d+)')
  local missing = head[2] - ARGV[2]
  if bytes and head[1] == ARGV[1] and missing > 0 and missing <= tonumber(ARGV[33]) and
    bytes / (head[2] - first + 1) * missing < 262144 then
    records = redis.pcall('XRANGE', KEYS[2], ARGV[2] .. '-0', '+', 'COUNT', missing + 1)
    if records.err then records = {} end
  end
  return {0, head[1], head[2], head[3], head[7] or '', records}
end
if head[4] ~= ARGV[10] then return redis.error_reply('ERR commit against generation ' .. ARGV[10] .. ', not ' .. head[4]) end

local undos, redos, undo_bytes, redo_bytes, truncated = string.match(head[6] or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)')
-- first version in the log, bytes of it, bytes since the newest mark, version of the newest mark; version, time and bytes
-- of the oldest mark, all 0 without one
local first, log_bytes, open_bytes, newest, oldest, oldest_ms, oldest_bytes =
  string.match(head[7] or '', '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)')
local current, since = string.match(head[8] or '', '^([01]) (%d+)')
if not (truncated and oldest_bytes and since) then return {-2, 'head'} end
undos, redos = tonumber(undos), tonumber(redos)
local version, size = tonumber(ARGV[4]), #ARGV[6] + #ARGV[7]
oldest, log_bytes, open_bytes = tonumber(oldest), log_bytes + size, open_bytes + size

if redis.call('XLEN', KEYS[2]) ~= version - first then return {-2, 'log'} end
if redis.call('HLEN', KEYS[3]) ~= tonumber(head[5]) then return {-2, 'nodes'} end
local operation = ARGV[12]
if operation ~= 'none' then
  if redis.call('LLEN', KEYS[5]) ~= undos or redis.call('HLEN', KEYS[7]) ~= undos then return {-2, 'undo'} end
  if redos == 0 then
    if redis.call('EXISTS', KEYS[6], KEYS[8]) ~= 0 then return {-2, 'redo'} end
  elseif redis.call('LLEN', KEYS[6]) ~= redos or redis.call('HLEN', KEYS[8]) ~= redos then
    return {-2, 'redo'}
  end
end
local sets, gone, fields, attached, detached =
  tonumber(ARGV[25]), tonumber(ARGV[26]), tonumber(ARGV[27]), tonumber(ARGV[28]), tonumber(ARGV[29])
if attached + detached > 0 then redis.call('HLEN', KEYS[11]) end
if ARGV[11] ~= '' and redis.pcall('HLEN', KEYS[12]) ~= tonumber(ARGV[8]) then return {-3} end

-- A mark closes a segment of the log: 64 commits or 1 MiB. Whole segments are cut, a few at a time, so that the work of
-- one commit is bounded; the segment of the new record never is.
local closes = version - newest >= 64 or open_bytes >= 1048576
local keep, age, most_log = tonumber(ARGV[20]), tonumber(ARGV[21]), tonumber(ARGV[22])
local function cuttable()
  return keep > 0 and oldest > 0 and oldest < version
    and ((version - oldest >= keep and now - oldest_ms >= age) or log_bytes > most_log)
end
if (closes or cuttable()) and redis.call('LLEN', KEYS[4]) == 0 and oldest > 0 then return {-2, 'marks'} end

local function parsed(entry)
  local v, size = string.match(entry, '^(%d+) (%d+) ')
  return v or '', tonumber(size or 0)
end
local top_size
if operation == 'undo' or operation == 'redo' then
  local top = redis.call('LINDEX', operation == 'undo' and KEYS[5] or KEYS[6], -1)
  if not top then return {3} end
  local top_version
  top_version, top_size = parsed(top)
  if top_version ~= ARGV[13] then return {3} end
end

-- Phase B: append.
local added = redis.pcall('XADD', KEYS[2], ARGV[4] .. '-0', 'r', ARGV[6], 'd', ARGV[7])
if type(added) == 'table' and added.err then
  if string.find(added.err, 'equal or smaller', 1, true) then return {-2, 'log'} end
  return added
end

-- Phase C: the rest. unpack takes less than 8,000 values.
local at = 34
local function spread(command, key, n)
  local last = at + n - 1
  while at <= last do
    local to = math.min(at + 3999, last)
    redis.call(command, key, unpack(ARGV, at, to))
    at = to + 1
  end
end
spread('HSET', KEYS[3], sets)
spread('HDEL', KEYS[3], gone)
local generation = ARGV[10]
if ARGV[11] ~= '' then
  generation = ARGV[11]
  redis.call('PERSIST', KEYS[12])
  redis.call('UNLINK', KEYS[3])
end
spread('HSET', KEYS[1], fields)
spread('HSET', KEYS[11], attached)
spread('HDEL', KEYS[11], detached)

local dropped, stacks = 0, head[6]
if operation ~= 'none' then
  if operation == 'clear' then
    redis.call('UNLINK', KEYS[5], KEYS[6], KEYS[7], KEYS[8])
    undos, redos, undo_bytes, redo_bytes = 0, 0, 0, 0
  elseif operation == 'redo' then
    redis.call('RPOP', KEYS[6])
    redis.call('HDEL', KEYS[8], ARGV[13])
    redos, redo_bytes = redos - 1, redo_bytes - top_size
  elseif operation == 'undo' then
    redis.call('RPOP', KEYS[5])
    redis.call('HDEL', KEYS[7], ARGV[13])
    redis.call('RPUSH', KEYS[6], ARGV[14])
    redis.call('HSET', KEYS[8], ARGV[13], ARGV[15])
    undos, undo_bytes, redos, redo_bytes = undos - 1, undo_bytes - top_size, redos + 1, redo_bytes + #ARGV[15]
  elseif redos > 0 then
    redis.call('UNLINK', KEYS[6], KEYS[8])
    redos, redo_bytes = 0, 0
  end
  if operation == 'push' or operation == 'redo' then
    redis.call('RPUSH', KEYS[5], ARGV[14])
    redis.call('HSET', KEYS[7], ARGV[13], ARGV[15])
    undos, undo_bytes = undos + 1, undo_bytes + #ARGV[15]
  end
  local depth, most = tonumber(ARGV[16]), tonumber(ARGV[17])
  local function drop(list, data)
    local v, bytes = parsed(redis.call('LPOP', list))
    redis.call('HDEL', data, v)
    dropped = dropped + 1
    return bytes
  end
  while undos > 0 and (undos > depth or undo_bytes + redo_bytes > most) do
    undo_bytes, undos = undo_bytes - drop(KEYS[5], KEYS[7]), undos - 1
  end
  while redos > 0 and (redos > depth or undo_bytes + redo_bytes > most) do
    redo_bytes, redos = redo_bytes - drop(KEYS[6], KEYS[8]), redos - 1
  end
  stacks = string.format('%d %d %d %d %d', undos, redos, undo_bytes, redo_bytes, truncated + dropped)
end

-- Two generations of idempotency records: the current one until it holds 10,000 or is a day old, and the one before.
if ARGV[18] ~= '' then
  if redis.call('HLEN', KEYS[9 + current]) >= 10000 or now - since >= 86400000 then
    current = 1 - current
    redis.call('UNLINK', KEYS[9 + current])
    redis.call('HSET', KEYS[1], 'i', string.format('%d %d', current, now))
  end
  redis.call('HSET', KEYS[9 + current], ARGV[18], ARGV[19])
end

if closes then
  redis.call('RPUSH', KEYS[4], string.format('%d %d %d', version, now, open_bytes))
  if oldest == 0 then oldest, oldest_ms, oldest_bytes = version, now, open_bytes end
  newest, open_bytes = version, 0
end
local cuts = 0
while cuts < 4 and cuttable() do
  first, log_bytes, cuts = oldest + 1, log_bytes - oldest_bytes, cuts + 1
  redis.call('XTRIM', KEYS[2], 'MINID', '=', string.format('%d-0', first))
  redis.call('LPOP', KEYS[4])
  oldest, oldest_ms, oldest_bytes = string.match(redis.call('LINDEX', KEYS[4], 0) or '', '^(%d+) (%d+) (%d+)')
  if not oldest then oldest, oldest_ms, oldest_bytes = 0, 0, 0 end
  oldest = tonumber(oldest)
end
redis.call('HSET', KEYS[1], 'v', ARGV[4], 'd', ARGV[5], 'g', generation, 'c', ARGV[8], 's', ARGV[9], 'w', stacks,
  'la', string.format('%d', now), 'k', string.format('%d %d %d %d %d %d %d',
  first, log_bytes, open_bytes, newest, oldest, oldest_ms, oldest_bytes))

if holder and ARGV[32] == '' then redis.call('HDEL', KEYS[1], 'tn') end

-- Phase D: tell. A refusal changes nothing: the log is the truth. In a cluster this is the one line that may want SPUBLISH.
local published = 1
if ARGV[23] ~= '' then
  local told = redis.pcall('PUBLISH', ARGV[23], ARGV[24] ~= '' and ARGV[24] or ARGV[6])
  if type(told) == 'table' and told.err then published = 0 end
end
return {1, published, dropped}
