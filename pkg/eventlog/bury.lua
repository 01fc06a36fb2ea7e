-- bury removes edges whose lease has ended from the list of edges, for ever. One that came back in between is left alone.
--
-- KEYS  1 edges
-- ARGV  1 … edges
--
-- returns those that are not in the list now
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local dead = {}
for i = 1, #ARGV do
  local ends = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if not ends or tonumber(ends) <= now then
    redis.call('ZREM', KEYS[1], ARGV[i])
    dead[#dead + 1] = ARGV[i]
  end
end
return dead
