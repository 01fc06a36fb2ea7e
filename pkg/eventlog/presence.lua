-- presence sets the number of clients that an edge has in a session, removes the entries of dead edges, and announces the sum if
-- it has changed, or if others than before make it up. Saying the same twice changes and announces nothing. What an edge said before something that was carried out
-- already, and what comes late of a dead one, is not carried out: the network may hold a request back for longer than its sender
-- waits for the answer.
--
-- KEYS  1 head  2 presence: edge → clients, '#' → number of the newest announcement, '#' edge → number of its newest request  3 tombstone
-- ARGV  1 edge  2 clients  3 who came or went if it was exactly one, as JSON, or ''  4 channel
--       5 beginning of a session:connected message  6 the same of session:disconnected
--       7 number of the request, about the time in ms, greater than those before of this edge; 0: it is always carried out  8 '1': somebody came or went
--       9 how many clients more there are by the one who came or went: 1 or -1  10 … dead edges
--
-- returns {1, clients of all, number of the announcement, 0 | 1 connected | 2 disconnected, 1 if it names one,
--         number of the announcement before, edge, clients, …},
--         {-1} no such session, {-2} deleted before
if redis.call('HEXISTS', KEYS[1], 'e') == 0 then
  redis.call('UNLINK', KEYS[2])
  return {-1 - redis.call('EXISTS', KEYS[3])}
end
local clock = redis.call('TIME')
local time, hour = clock[1] * 1000 + math.floor(clock[2] / 1000), 3600000
local counts, requests, before, number = {}, {}, 0, 0
local entries = redis.call('HGETALL', KEYS[2])
for i = 1, #entries, 2 do
  if entries[i] == '#' then
    number = tonumber(entries[i + 1])
  elseif string.sub(entries[i], 1, 1) == '#' then
    requests[string.sub(entries[i], 2)] = tonumber(entries[i + 1])
  else
    counts[entries[i]] = tonumber(entries[i + 1])
    before = before + counts[entries[i]]
  end
end
local mine, after = counts[ARGV[1]] or 0, before
local now, request, swapped = tonumber(ARGV[2]), tonumber(ARGV[7]), ARGV[8] == '1'
if request > 0 then
  if request <= (requests[ARGV[1]] or 0) then
    now, swapped = mine, false
  else
    redis.call('HSET', KEYS[2], '#' .. ARGV[1], ARGV[7])
  end
end
for edge, newest in pairs(requests) do
  if newest < time - hour and not counts[edge] and edge ~= ARGV[1] then redis.call('HDEL', KEYS[2], '#' .. edge) end
end
for i = 10, #ARGV do
  if counts[ARGV[i]] and ARGV[i] ~= ARGV[1] then
    redis.call('HDEL', KEYS[2], ARGV[i])
    redis.call('HSET', KEYS[2], '#' .. ARGV[i], string.format('%.0f', time + hour))
    after = after - counts[ARGV[i]]
    counts[ARGV[i]] = nil
  end
end
if now == 0 then
  redis.call('HDEL', KEYS[2], ARGV[1])
  counts[ARGV[1]] = nil
elseif now ~= mine then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
  counts[ARGV[1]] = now
end
after = after + now - mine
local event, named, previous = 0, 0, number
if after ~= before or swapped then
  -- The clock keeps numbers growing over a loss of data that nobody noticed.
  number = math.max(number + 1, time)
  redis.call('HSET', KEYS[2], '#', string.format('%.0f', number))
  event = after < before and 2 or 1
  local who = 'null'
  -- After a loss of data the entry may be an old one, and who came makes it smaller.
  local by = tonumber(ARGV[9])
  if ARGV[3] ~= '' and after - before == by and now - mine == by then
    who, named = ARGV[3], 1
  end
  local fields = string.format('"client_id":%s,"client_count":%.0f,"seq":%.0f', who, after, number)
  if previous > 0 then fields = fields .. string.format(',"prev":%.0f', previous) end
  redis.pcall('PUBLISH', ARGV[4], ARGV[4 + event] .. string.char(0, 0, 0, #fields) .. fields)
end
local answer = {1, after, number, event, named, previous}
for edge, n in pairs(counts) do
  answer[#answer + 1] = edge
  answer[#answer + 1] = n
end
return answer
