-- save stores a project unless a newer one of the same branch is stored, as far as positions tell.
-- KEYS[1] project  hash  epoch, version, digest, name, template, saved_at, content; absent: not saved yet
-- KEYS[2] index    zset  ids of all projects, all with score 0
-- ARGV[1] id
-- ARGV[2] epoch, ARGV[3] version (20 digits), ARGV[4] digest   of what is to be saved
-- ARGV[5] epoch, ARGV[6] version (20 digits), ARGV[7] digest   of a state to replace whatever its version
-- ARGV[8…] field and value of the rest
-- returns {1} when saved, {0, epoch, version, digest} of what is stored when that is newer
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'version', 'digest')
redis.call('ZSCORE', KEYS[2], ARGV[1]) -- an index of a wrong type fails here, before anything is written
local off = stored[1] == ARGV[5] and stored[2] == ARGV[6] and stored[3] == ARGV[7]
-- Versions are compared as text of equal length: Lua numbers lose digits above 2^53.
if stored[1] == ARGV[2] and stored[2] > ARGV[3] and not off then
  return {0, stored[1], stored[2], stored[3]}
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'version', ARGV[3], 'digest', ARGV[4], unpack(ARGV, 8))
redis.call('ZADD', KEYS[2], 0, ARGV[1])
return {1}
