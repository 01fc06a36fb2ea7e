-- lease renews an edge's lease by Redis' clock, and says who is alive. An edge whose lease has ended stays dead: its clients
-- may have been counted out already, so it must come back under a new id.
--
-- KEYS  1 edges
-- ARGV  1 edge, or '' to look only  2 ms of a lease  3 ms for which the dead are remembered
--
-- returns {1, living edges}, or {0, living edges} when the lease had ended
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local alive = 1
if ARGV[1] ~= '' then
  local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
  if ends and tonumber(ends) <= now then
    alive = 0
  else
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
  end
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - tonumber(ARGV[3])))
end
return {alive, redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf')}
