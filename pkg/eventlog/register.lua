-- register notes under which address an edge can be reached, for a time by Redis' clock, and returns who else can be. It also
-- keeps the secret that all edges share: the first to come sets it, and after a loss of data whoever comes first again.
--
-- KEYS  1 addresses  hash  edge → "<end in ms> <address>"
--       2 secret     string
-- ARGV  1 edge  2 address, or '' to take the edge out  3 ms  4 a secret, for want of one
--
-- returns {secret, edge, address, edge, address, …}
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local secret = redis.call('GET', KEYS[2])
if not secret then
  secret = ARGV[4]
  redis.call('SET', KEYS[2], secret)
end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %s', now + tonumber(ARGV[3]), ARGV[2]))
end
local reply = {secret}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local ends, address = string.match(all[i + 1], '^(%d+) (.+)$')
  if ends and tonumber(ends) > now then
    reply[#reply + 1] = all[i]
    reply[#reply + 1] = address
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return reply
