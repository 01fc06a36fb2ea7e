-- drop removes the entry of a dead edge from a session and announces the sum. Of all who drop the same entry one does. What comes
-- late of that edge is not carried out (presence.lua).
--
-- KEYS  1 head  2 presence  3 tombstone
-- ARGV  1 dead edge  2 channel  3 beginning of a session:disconnected message
--
-- returns {1, clients of all, number of the announcement, 2, 0, number of the one before, edge, clients, …}, {0} if there is no such entry,
--         {-1} no such session, {-2} deleted before
if redis.call('HEXISTS', KEYS[1], 'e') == 0 then
  redis.call('UNLINK', KEYS[2])
  return {-1 - redis.call('EXISTS', KEYS[3])}
end
if redis.call('HDEL', KEYS[2], ARGV[1]) == 0 then return {0} end
local clock = redis.call('TIME')
local time, hour = clock[1] * 1000 + math.floor(clock[2] / 1000), 3600000
redis.call('HSET', KEYS[2], '#' .. ARGV[1], string.format('%.0f', time + hour))
local answer = {1, 0, time, 2, 0, 0}
local entries = redis.call('HGETALL', KEYS[2])
for i = 1, #entries, 2 do
  local n = tonumber(entries[i + 1])
  if entries[i] == '#' then
    answer[3], answer[6] = math.max(n + 1, answer[3]), n
  elseif string.sub(entries[i], 1, 1) ~= '#' then
    answer[2] = answer[2] + n
    answer[#answer + 1] = entries[i]
    answer[#answer + 1] = n
  end
end
redis.call('HSET', KEYS[2], '#', string.format('%.0f', answer[3]))
local fields = string.format('"client_id":null,"client_count":%.0f,"seq":%.0f', answer[2], answer[3])
if answer[6] > 0 then fields = fields .. string.format(',"prev":%.0f', answer[6]) end
redis.pcall('PUBLISH', ARGV[2], ARGV[3] .. string.char(0, 0, 0, #fields) .. fields)
return answer
