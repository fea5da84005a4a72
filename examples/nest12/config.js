import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'

export const port = Number(process.env.PORT ?? 3000)

/** A local IDPartner with its banks. It does not start where NODE_ENV is production. */
async function localPlatform() {
  const { generateJwks } = await import('passport-idpartner')
  const { startSandbox } = await import('passport-idpartner/sandbox')
  const url = `http://localhost:${port}`
  const sandbox = await startSandbox({
    client_id: 'my-app',
    callback: `${url}/login/callback`,
    jwks_uri: `${url}/jwks`,
  })
  return { ...sandbox.config, jwks: await generateJwks() }
}

/** IDPARTNER_OPTIONS names a file with the options for the real platform: client_id, callback, jwks and so on. */
const file = process.env.IDPARTNER_OPTIONS
const platform = file ? JSON.parse(readFileSync(file, 'utf8')) : await localPlatform()

/** With the log, a login that fails says why on the console. */
export const options = { ...platform, log: console }

export const url = new URL(options.callback).origin

/** A site that people reach by https: has its session cookie sent that way alone. */
export const secure = url.startsWith('https:')

/** Without SESSION_SECRET, a restart or a second process knows nobody that was logged in. */
export const secret = process.env.SESSION_SECRET ?? randomBytes(32).toString('hex')
