-- read gives the head of a session and records of its log, in one look, up to a number of records and of bytes.
--
-- KEYS  1 head  2 log  3 tombstone
-- ARGV  1 first id  2 last id  3 records at most  4 bytes after which it ends, though not before the third record: the first
--       two may be there only to prove what comes after them
--
-- returns {deleted, fields of the head, entries of the log}
local head = redis.call('HMGET', KEYS[1], 'e', 'v', 'd', 'k', 'x')
if not head[1] then return {redis.call('EXISTS', KEYS[3]), head, {}} end
local left, bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
local all = string.match(head[4] or '', '^%d+ (%d+)')
if all and tonumber(all) <= bytes then
  return {0, head, redis.call('XRANGE', KEYS[2], ARGV[1], ARGV[2], 'COUNT', left)}
end

-- What there is may be too much for one answer, and nothing tells how large a record is but the record. So a few are read
-- at a time, as many as would fit if they were like the largest so far.
local entries, from, most, step = {}, ARGV[1], 0, 1
while left > 0 and (bytes > 0 or #entries < 3) do
  local part = redis.call('XRANGE', KEYS[2], from, ARGV[2], 'COUNT', math.min(step, left))
  for i = 1, #part do
    local size = 0
    for j = 2, #part[i][2], 2 do size = size + #part[i][2][j] end
    entries[#entries + 1] = part[i]
    bytes, most = bytes - size, math.max(most, size)
  end
  if #part < math.min(step, left) then break end
  left, from = left - #part, '(' .. part[#part][1]
  step = math.max(1, math.min(8, math.floor(bytes / math.max(most, 1))))
end
return {0, head, entries}
