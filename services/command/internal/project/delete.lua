-- delete removes a project.
-- KEYS[1] project  hash
-- KEYS[2] index    zset  ids of all projects
-- ARGV[1] id
-- returns 1 when there was one, else 0
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('DEL', KEYS[1])
