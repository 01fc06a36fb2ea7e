-- commit appends records of one session, each decided on the one before, if the session still stands at the base of the first.
-- Each record is committed with all of it or none of it, whatever interrupts the script: phase A only reads, and finds every key
-- of the wrong type; phase B is the one write that may be refused; the writes of phase C cannot fail; phase D is guarded. The
-- first record that is refused ends the group: those before it are committed, those after it are not looked at.
--
-- A writer that came too late again and again may ask for the turn: until it has committed or the turn ends, nobody else
-- commits. The turn is a field of the head and a hint: order comes from the base alone, and losing the turn costs nothing.
--
-- KEYS  1 head  2 log  3 nodes of base's generation  4 marks  5 undo  6 redo  7 undo data  8 redo data
--       9, 10 idempotency records  11 attachments  12 staged nodes (= 3 without)  13 tombstone
-- ARGV  1 depth of a stack, payload bytes of both stacks, commits kept (0 keeps all), ms kept, bytes of log kept, writer
--       2 of base: epoch, version, digest, generation; ms of the turn it asks for if it comes too late, or 0; 1 if it has more
--         to commit and keeps its turn, or 0; how many records it is given at most if it comes too late, or 0
--       3 channel or ''
--       4 … each record with what belongs to it:
--         + 0  version, digest after it, count and sum of the nodes after it, stack operation (push, undo, redo, clear, none),
--              version of the entry, staged generation or -, and how many values follow: nodes set, nodes gone, head fields,
--              attachments set, attachments gone
--         + 1  record  2 delta  3 entry of the stack  4 its payload  5 idempotency key or ''  6 its record
--           7  message, '' for the record itself  8 … the values
--
-- returns {1, published, dropped stack entries, …}  committed, as many as there are pairs; behind them, if a record was refused,
--                                                   what would have been returned for it alone
--         {0, epoch, version, digest, log, records} the head is not at base; what the head says of the log, and the records
--                                                   from base on if they are few, else nothing
--         {2, record}                               the idempotency key was used before
--         {3}                                       the stack does not end with that version
--         {4, epoch, version, digest, ms}           it is another writer's turn, for so long at most
--         {-1, deleted}                             no such session
--         {-2, what, 'condemned'}                   the session is torn; the third only if that was known before
--         {-3}                                      the staged nodes are not all there
local depth, most_payload, keep, age, most_log, writer = string.match(ARGV[1], '^(%d+) (%d+) (%d+) (%d+) (%d+) (%S+)$')
local epoch, base, digest, generation, turn, more, missing = string.match(ARGV[2], '^(%x+) (%d+) (%x+) (%d+) (%d+) (%d) (%d+)$')
depth, most_payload, keep, age, most_log = tonumber(depth), tonumber(most_payload), tonumber(keep), tonumber(age), tonumber(most_log)

-- Phase A: look. From the second record on there is something to lose, so nothing here may raise an error: it is returned.
local function failed(reply) return type(reply) == 'table' and reply.err end

-- repeated is why a key cannot be used, if it cannot.
local function repeated(key)
  if key == '' then return nil end
  local record = redis.pcall('HGET', KEYS[9], key) or redis.pcall('HGET', KEYS[10], key)
  if failed(record) then return record end
  return record and {2, record}
end

local refusal = repeated(ARGV[9])
if refusal then return refusal end
local head = redis.call('HMGET', KEYS[1], 'e', 'v', 'd', 'g', 'c', 'w', 'k', 'i', 'tn', 'x')
if not head[1] then return {-1, redis.call('EXISTS', KEYS[13])} end
if head[10] then return {-2, head[10], 'condemned'} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local holder, ends = string.match(head[9] or '', '^(%S+) (%d+)$')
if holder and holder ~= writer and now < tonumber(ends) then return {4, head[1], head[2], head[3], ends - now} end
if head[1] ~= epoch or head[2] ~= base or head[3] ~= digest then
  if turn ~= '0' then redis.pcall('HSET', KEYS[1], 'tn', string.format('%s %d', writer, now + turn)) end
  local records = {}
  local first, bytes = string.match(head[7] or '', '^(%d+) (%d+)')
  local behind = head[2] - base
  if bytes and head[1] == epoch and behind > 0 and behind <= tonumber(missing) and
    bytes / (head[2] - first + 1) * behind < 262144 then
    records = redis.pcall('XRANGE', KEYS[2], base .. '-0', '+', 'COUNT', behind + 1)
    if records.err then records = {} end
  end
  return {0, head[1], head[2], head[3], head[7] or '', records}
end
if head[4] ~= generation then return redis.error_reply('ERR commit against generation ' .. generation .. ', not ' .. head[4]) end

local undos, redos, undo_bytes, redo_bytes, truncated = string.match(head[6] or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)')
-- first version in the log, bytes of it, bytes since the newest mark, version of the newest mark; version, time and bytes
-- of the oldest mark, all 0 without one
local first, log_bytes, open_bytes, newest, oldest, oldest_ms, oldest_bytes =
  string.match(head[7] or '', '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)')
local current, since = string.match(head[8] or '', '^([01]) (%d+)')
if not (truncated and oldest_bytes and since) then return {-2, 'head'} end
undos, redos, oldest = tonumber(undos), tonumber(redos), tonumber(oldest)
local version, count, sum, nodes = base, head[5], nil, KEYS[3]
if redis.call('XLEN', KEYS[2]) ~= version + 1 - first then return {-2, 'log'} end
if redis.call('HLEN', nodes) ~= tonumber(count) then return {-2, 'nodes'} end

local looked = false -- the stacks were compared with the head; from then on they are followed

-- torn is why a key does not have the length that the head says, if it does not.
local function torn(command, key, length, what)
  local found = redis.pcall(command, key)
  if failed(found) then return found end
  return found ~= length and {-2, what} or nil
end

local function parsed(entry)
  local v, size = string.match(entry, '^(%d+) (%d+) ')
  return v or '', tonumber(size or 0)
end

-- spread writes values ARGV[at] to ARGV[last], as unpack takes less than 8,000.
local function spread(command, key, at, last)
  while at <= last do
    local to = math.min(at + 3999, last)
    redis.call(command, key, unpack(ARGV, at, to))
    at = to + 1
  end
end

-- There are few functions below, and none that shares variables: each would be made anew with every call.
local at, answer, messages = 4, {1}, {}
while at <= #ARGV do
  local new, digest_after, count_after, sum_after, operation, entry, staged, sets, gone, fields, attached, detached =
    string.match(ARGV[at], '^(%d+) (%x+) (%d+) (%d+) (%l+) (%d+) (%S+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not detached then refusal = redis.error_reply('ERR malformed commit') break end
  local record, delta, meta, payload, key = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  local number, size = tonumber(new), #record + #delta
  refusal = at > 4 and repeated(key) or nil
  if not refusal and operation ~= 'none' and not looked then
    refusal = torn('LLEN', KEYS[5], undos, 'undo') or torn('HLEN', KEYS[7], undos, 'undo')
    if not refusal then
      if redos > 0 then
        refusal = torn('LLEN', KEYS[6], redos, 'redo') or torn('HLEN', KEYS[8], redos, 'redo')
      elseif redis.call('EXISTS', KEYS[6], KEYS[8]) ~= 0 then
        refusal = {-2, 'redo'}
      end
    end
    looked = true
  end
  if not refusal and (attached ~= '0' or detached ~= '0') then
    local there = redis.pcall('HLEN', KEYS[11])
    refusal = failed(there) and there or nil
  end
  if not refusal and staged ~= '-' and redis.pcall('HLEN', KEYS[12]) ~= tonumber(count_after) then refusal = {-3} end
  -- A mark closes a segment of the log: 64 commits or 1 MiB. Whole segments are cut, a few at a time, so that the work of
  -- one commit is bounded; the segment of the new record never is.
  log_bytes, open_bytes = log_bytes + size, open_bytes + size
  local closes = number - newest >= 64 or open_bytes >= 1048576
  local cuts = 0
  if keep > 0 and oldest > 0 and oldest < number and ((number - oldest >= keep and now - oldest_ms >= age) or log_bytes > most_log) then
    cuts = 4
  end
  if not refusal and (closes or cuts > 0) then
    local marks = redis.pcall('LLEN', KEYS[4])
    refusal = failed(marks) and marks or (marks == 0 and oldest > 0 and {-2, 'marks'}) or nil
  end
  local top_size
  if not refusal and (operation == 'undo' or operation == 'redo') then
    local top, of = redis.call('LINDEX', operation == 'undo' and KEYS[5] or KEYS[6], -1)
    if top then of, top_size = parsed(top) end
    if of ~= entry then refusal = {3} end
  end

  -- Phase B: append.
  if not refusal then
    local added = redis.pcall('XADD', KEYS[2], new .. '-0', 'r', record, 'd', delta)
    if failed(added) then refusal = string.find(added.err, 'equal or smaller', 1, true) and {-2, 'log'} or added end
  end
  if refusal then
    log_bytes, open_bytes = log_bytes - size, open_bytes - size
    break
  end

  -- Phase C: the rest.
  local from, to = at + 8, at + 7 + sets
  spread('HSET', nodes, from, to)
  from, to = to + 1, to + gone
  spread('HDEL', nodes, from, to)
  if staged ~= '-' then
    redis.call('PERSIST', KEYS[12])
    redis.call('UNLINK', KEYS[3])
    nodes, generation = KEYS[12], staged
  end
  from, to = to + 1, to + fields
  spread('HSET', KEYS[1], from, to)
  from, to = to + 1, to + attached
  spread('HSET', KEYS[11], from, to)
  from, to = to + 1, to + detached
  spread('HDEL', KEYS[11], from, to)

  local dropped = 0
  if operation ~= 'none' then
    if operation == 'clear' then
      redis.call('UNLINK', KEYS[5], KEYS[6], KEYS[7], KEYS[8])
      undos, redos, undo_bytes, redo_bytes = 0, 0, 0, 0
    elseif operation == 'redo' then
      redis.call('RPOP', KEYS[6])
      redis.call('HDEL', KEYS[8], entry)
      redos, redo_bytes = redos - 1, redo_bytes - top_size
    elseif operation == 'undo' then
      redis.call('RPOP', KEYS[5])
      redis.call('HDEL', KEYS[7], entry)
      redis.call('RPUSH', KEYS[6], meta)
      redis.call('HSET', KEYS[8], entry, payload)
      undos, undo_bytes, redos, redo_bytes = undos - 1, undo_bytes - top_size, redos + 1, redo_bytes + #payload
    elseif redos > 0 then
      redis.call('UNLINK', KEYS[6], KEYS[8])
      redos, redo_bytes = 0, 0
    end
    if operation == 'push' or operation == 'redo' then
      redis.call('RPUSH', KEYS[5], meta)
      redis.call('HSET', KEYS[7], entry, payload)
      undos, undo_bytes = undos + 1, undo_bytes + #payload
    end
    while undos > 0 and (undos > depth or undo_bytes + redo_bytes > most_payload) do
      local v, bytes = parsed(redis.call('LPOP', KEYS[5]))
      redis.call('HDEL', KEYS[7], v)
      undos, undo_bytes, dropped = undos - 1, undo_bytes - bytes, dropped + 1
    end
    while redos > 0 and (redos > depth or undo_bytes + redo_bytes > most_payload) do
      local v, bytes = parsed(redis.call('LPOP', KEYS[6]))
      redis.call('HDEL', KEYS[8], v)
      redos, redo_bytes, dropped = redos - 1, redo_bytes - bytes, dropped + 1
    end
    truncated = truncated + dropped
  end

  -- Two generations of idempotency records: the current one until it holds 10,000 or is a day old, and the one before.
  if key ~= '' then
    if redis.call('HLEN', KEYS[9 + current]) >= 10000 or now - since >= 86400000 then
      current, since = 1 - current, now
      redis.call('UNLINK', KEYS[9 + current])
      redis.call('HSET', KEYS[1], 'i', string.format('%d %d', current, now))
    end
    redis.call('HSET', KEYS[9 + current], key, ARGV[at + 6])
  end

  if closes then
    redis.call('RPUSH', KEYS[4], string.format('%d %d %d', number, now, open_bytes))
    if oldest == 0 then oldest, oldest_ms, oldest_bytes = number, now, open_bytes end
    newest, open_bytes = number, 0
  end
  while cuts > 0 and oldest > 0 and oldest < number and ((number - oldest >= keep and now - oldest_ms >= age) or log_bytes > most_log) do
    first, log_bytes, cuts = oldest + 1, log_bytes - oldest_bytes, cuts - 1
    redis.call('XTRIM', KEYS[2], 'MINID', '=', string.format('%d-0', first))
    redis.call('LPOP', KEYS[4])
    oldest, oldest_ms, oldest_bytes = string.match(redis.call('LINDEX', KEYS[4], 0) or '', '^(%d+) (%d+) (%d+)')
    if not oldest then oldest, oldest_ms, oldest_bytes = 0, 0, 0 end
    oldest = tonumber(oldest)
  end

  version, digest, count, sum = new, digest_after, count_after, sum_after
  answer[#answer + 1] = 1
  answer[#answer + 1] = dropped
  messages[#messages + 1] = ARGV[at + 7] ~= '' and ARGV[at + 7] or record
  at = to + 1
end
if #messages == 0 then return refusal end
redis.call('HSET', KEYS[1], 'v', version, 'd', digest, 'g', generation, 'c', count, 's', sum,
  'w', looked and string.format('%d %d %d %d %d', undos, redos, undo_bytes, redo_bytes, truncated) or head[6],
  'la', string.format('%d', now), 'k', string.format('%d %d %d %d %d %d %d',
  first, log_bytes, open_bytes, newest, oldest, oldest_ms, oldest_bytes))
if holder and more == '0' and not refusal then redis.call('HDEL', KEYS[1], 'tn') end

-- Phase D: tell. A refusal changes nothing: the log is the truth. In a cluster this is the one line that may want SPUBLISH.
if ARGV[3] ~= '' then
  for i, message in ipairs(messages) do
    if failed(redis.pcall('PUBLISH', ARGV[3], message)) then answer[2 * i] = 0 end
  end
end
if refusal then answer[#answer + 1] = refusal end
return answer
