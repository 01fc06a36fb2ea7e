-- condemn closes a session whose data contradict each other: nothing is committed to it any more, and who reads it is told.
--
-- KEYS  1 head  2 tombstone
-- ARGV  1 why
--
-- returns 1 closed now, 0 closed before, -1 no such session, -2 deleted before
if redis.call('HEXISTS', KEYS[1], 'e') == 0 then return -1 - redis.call('EXISTS', KEYS[2]) end
return redis.call('HSETNX', KEYS[1], 'x', ARGV[1])
