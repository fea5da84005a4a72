// Runs test/redis on a real Redis, which it starts, with node-redis and with ioredis.
// tsx test/deployments/redis-logins.ts
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { startRedis } from './servers.js'

const server = await startRedis()
try {
  const { redis } = server.store as { redis: string }
  const jest = spawn('npm', ['test', '--silent', '--', '--ci', 'test/redis'], {
    stdio: 'inherit',
    env: { ...process.env, REDIS_URL: redis },
  })
  const [code] = (await once(jest, 'exit')) as [number | null]
  process.exitCode = code ?? 1
} finally {
  await server.close()
}
