package redis

import goredis "github.com/redis/go-redis/v9"

// Both scripts find out what version is there, "" if there is none, or none that counts: it is over by the clock of who asks, or no record of this key.
// They read the first line as decode does: what Get takes for nothing must give way to a Put.
// GETRANGE fails for what is not a string, and with it the script, before anything has changed.
// The reply says which call it answers, so that none can take the reply of another for its own.
const versionThere = `
local head = redis.call('GETRANGE', KEYS[1], 0, 1024)
local there = ''
local version, expires, owner, key = string.match(head,
  '^ply1 (%x+) (%d+) [%l%d]+ owner=([%w_.:-]*) key=([%w_.:-]+) label=[^\n]*\n.')
if version and #version == 16 and #expires == 15 and #owner <= 128 and key == ARGV[2] then
  expires = tonumber(expires)
  if expires == 0 or expires > tonumber(ARGV[1]) then there = version end
elseif string.find(head, '^ply[2-9] ') then
  there = 'newer'
end
`

// KEYS: the record. ARGV: now, the key, the version to replace, the new version, the time to live in milliseconds, the value.
// If the new version is there already, an earlier try was successful and its reply got lost.
var putScript = goredis.NewScript(versionThere + `
if there == ARGV[4] then return 'done ' .. ARGV[4] end
if there ~= ARGV[3] then return 'conflict ' .. ARGV[4] end
if tonumber(ARGV[5]) > 0 then
  redis.call('SET', KEYS[1], ARGV[6], 'PX', ARGV[5])
elseif #head > 0 then
  redis.call('UNLINK', KEYS[1])
end
return 'done ' .. ARGV[4]
`)

// KEYS: the record. ARGV: now, the key, the version to delete (empty for any), a random number that the reply repeats.
var deleteScript = goredis.NewScript(versionThere + `
if there ~= '' and ARGV[3] ~= '' and there ~= ARGV[3] then return 'conflict ' .. ARGV[4] end
if #head > 0 then redis.call('UNLINK', KEYS[1]) end
return 'done ' .. ARGV[4]
`)
