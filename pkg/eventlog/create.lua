-- create makes an empty session at version 0. An id is used once: neither a living nor a deleted session is replaced.
--
-- KEYS  1 head  2 tombstone  3 index  4 … everything else that an earlier incarnation may have left
-- ARGV  1 session  2 epoch  3 digest of version 0  4 … further head fields and values
--
-- returns 1 created, 0 exists, -2 deleted before
if redis.call('HLEN', KEYS[1]) > 0 then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then return -2 end
redis.call('ZSCORE', KEYS[3], ARGV[1])
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
local created = redis.pcall('HSET', KEYS[1], 'e', ARGV[2], 'v', 0, 'd', ARGV[3], 'g', 0, 'c', 0, 's', 0,
  'w', '0 0 0 0 0', 'k', '1 0 0 0 0 0 0', 'la', now, 'i', '0 ' .. now, 'gs', 0, 'sv', 0, 'ct', now, unpack(ARGV, 4))
if type(created) == 'table' and created.err then return created end
redis.call('ZADD', KEYS[3], 0, ARGV[1])
redis.call('UNLINK', unpack(KEYS, 4))
return 1
