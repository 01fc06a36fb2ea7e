-- presence sets the number of clients that an edge has in a session. Without a session there is nothing to keep.
--
-- KEYS  1 head  2 presence  3 tombstone
-- ARGV  1 edge  2 number
--
-- returns 1 done, -1 no such session, -2 deleted before
if redis.call('HEXISTS', KEYS[1], 'e') == 0 then
  redis.call('UNLINK', KEYS[2])
  return -1 - redis.call('EXISTS', KEYS[3])
end
if ARGV[2] == '0' then
  redis.call('HDEL', KEYS[2], ARGV[1])
else
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
return 1
