/**
 * What is done with the logins of one browser, each in one step, so that of two requests one comes first.
 *
 * They are the fields of one hash: a digit that says which goes first when there is no room, its end in milliseconds since
 * 1970, and the login as JSON.
 */

/** The first digit of a login that was used. */
export const USED = '9'

/** Writes a login. With too many, those used go first, then those that another site began, each the oldest first; then says 1. */
export const SAVE = `
local key, name, value, lasts, most = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('HSET', key, name, value)
if redis.call('PTTL', key) < lasts then redis.call('PEXPIRE', key, lasts) end
local least = string.sub(value, 1, 1)
while redis.call('HLEN', key) > most do
  local all = redis.call('HGETALL', key)
  local out, rank, ends
  for at = 1, #all, 2 do
    local r, e = string.match(all[at + 1], '^(%d):(%d+):')
    r, e = r or '9', tonumber(e or '0')
    if all[at] ~= name and r >= least and (not out or r > rank or (r == rank and e < ends)) then
      out, rank, ends = all[at], r, e
    end
  end
  if not out then return 1 end
  redis.call('HDEL', key, out)
end
return 1`

/** Reads a login and marks it as used, unless it has ended. */
export const TAKE = `
local key, name, now = KEYS[1], ARGV[1], tonumber(ARGV[2])
local found = redis.call('HGET', key, name)
if not found then return false end
local ends = string.match(found, '^%d:(%d+):')
if ends and tonumber(ends) > now then redis.call('HSET', key, name, '${USED}:' .. ends .. ':') end
return found`

/** Reads a login, or all of them. */
export const PEEK = `
if ARGV[1] == '' then return redis.call('HVALS', KEYS[1]) end
return redis.call('HMGET', KEYS[1], ARGV[1])`
