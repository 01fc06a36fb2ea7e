-- stage gives out the number of a new generation of nodes.
--
-- KEYS  1 head  2 tombstone
--
-- returns the number, -1 no such session, -2 deleted before
if redis.call('HEXISTS', KEYS[1], 'e') == 0 then return -1 - redis.call('EXISTS', KEYS[2]) end
return redis.call('HINCRBY', KEYS[1], 'gs', 1)
