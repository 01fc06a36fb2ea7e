-- update changes what the head says about a session without a commit, and counts as use of the session.
--
-- KEYS  1 head  2 attachments  3 tombstone
-- ARGV  1 saved version or ''; an older one than is known is ignored
--       2, 3, 4 how many values follow: head fields, attachments set, attachments gone
--
-- returns 1 done, -1 no such session, -2 deleted before
local head = redis.call('HMGET', KEYS[1], 'e', 'sv')
if not head[1] then return -1 - redis.call('EXISTS', KEYS[3]) end
redis.call('HLEN', KEYS[2])
local clock = redis.call('TIME')
local done = redis.pcall('HSET', KEYS[1], 'la', string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000)))
if type(done) == 'table' and done.err then return done end
if ARGV[1] ~= '' and tonumber(ARGV[1]) > tonumber(head[2]) then redis.call('HSET', KEYS[1], 'sv', ARGV[1]) end
local at = 5
local function spread(command, key, n)
  local last = at + n - 1
  while at <= last do
    local to = math.min(at + 3999, last)
    redis.call(command, key, unpack(ARGV, at, to))
    at = to + 1
  end
end
spread('HSET', KEYS[1], tonumber(ARGV[2]))
spread('HSET', KEYS[2], tonumber(ARGV[3]))
spread('HDEL', KEYS[2], tonumber(ARGV[4]))
return 1
