-- lease begins or renews an edge's lease by Redis' clock, and says whose lease lasts and whose has ended. Who is in neither list
-- was buried: an id that is not there stays away for ever, so a renewal of it is refused. A lease that has ended but was not
-- buried can still be renewed: after a pause of Redis all have ended.
--
-- KEYS  1 edges
-- ARGV  1 edge, or '' to look only  2 ms of a lease  3 '1' to begin it
--
-- returns {1, living edges, ended edges}, or {0, living edges, ended edges} when the edge was buried
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local alive = 1
if ARGV[1] ~= '' then
  if ARGV[3] == '1' or redis.call('ZSCORE', KEYS[1], ARGV[1]) then
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
  else
    alive = 0
  end
end
return {alive, redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf'),
  redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))}
