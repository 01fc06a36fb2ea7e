-- delete removes a session whole, also one that is torn, and leaves a tombstone. With a time given it does so only if the session is idle: not used
-- since then, and without a client on a living edge.
--
-- KEYS  1 head  2 tombstone  3 index  4 presence  5 … everything else
-- ARGV  1 session  2 epoch  3 generation (the caller's, that KEYS were made for)  4 ms of the tombstone
--       5 ms since when it must be idle, or ''  6 channel  7 message  8 … living edges
--
-- returns 1 deleted, 0 the session is not what the caller read, 3 in use, -1 no such session, -2 deleted before
local head = redis.pcall('HMGET', KEYS[1], 'e', 'g', 'la')
if head.err and string.find(head.err, 'WRONGTYPE', 1, true) then head = {ARGV[2], ARGV[3], 0} end
if head.err then return head end
if not head[1] then
  local before = redis.call('EXISTS', KEYS[2])
  redis.call('ZREM', KEYS[3], ARGV[1])
  return -1 - before
end
if head[1] ~= ARGV[2] or tonumber(head[2] or 0) ~= tonumber(ARGV[3]) then return 0 end
if ARGV[5] ~= '' then
  if tonumber(head[3] or 0) > tonumber(ARGV[5]) then return 3 end
  for i = 8, #ARGV do
    if tonumber(redis.call('HGET', KEYS[4], ARGV[i]) or 0) > 0 then return 3 end
  end
end
redis.call('ZSCORE', KEYS[3], ARGV[1])
redis.call('UNLINK', KEYS[1], unpack(KEYS, 4))
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[4])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.pcall('PUBLISH', ARGV[6], ARGV[7])
return 1
