export { redisLogins, type RedisClient } from './redis-logins.js'
