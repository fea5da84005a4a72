import { existsSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { IDPartner, IDPartnerError, type IDPartnerConfig } from 'passport-idpartner'
import { createApp } from './app.js'
import { developmentKeys } from './dev-keys.js'
import { HELP, SettingsError, readSettings, type Settings } from './settings.js'

/** What the app logs people in with. */
interface Counterpart {
  config: IDPartnerConfig
  /** Lines to print about it. */
  about: Record<string, string>
  persona?: { login: string; password: string } | undefined
  close: () => Promise<void>
}

try {
  if (existsSync('.env')) process.loadEnvFile('.env')
  const settings = await readSettings(process.argv.slice(2), process.env)
  if (settings === 'help') process.stdout.write(HELP)
  else await serve(settings)
} catch (err) {
  const expected = err instanceof SettingsError || err instanceof IDPartnerError
  console.error(expected ? `passport-idpartner example: ${err.message}` : err)
  process.exit(1)
}

async function serve(settings: Settings): Promise<void> {
  // The sandbox has to be told the app's address, so the port is taken before there is an app.
  let listener: RequestListener = (_req, res) => {
    res.writeHead(503, { 'Retry-After': '1' }).end('The app is starting.\n')
  }
  const server = createServer((req, res) => {
    listener(req, res)
  })
  const url = `http://${urlHost(settings.host)}:${String(await listen(server, settings))}`
  const { config, about, persona, close } = settings.platform
    ? platform(settings.platform)
    : await sandbox(settings, url)
  const app = createApp(config, { sessionSecret: settings.sessionSecret })
  app.locals.persona = persona
  listener = app as RequestListener
  const lines = Object.entries({ App: url, ...about, Stop: 'Ctrl+C' })
  console.log(`\n${lines.map(([name, value]) => `  ${name.padEnd(9)} ${value}\n`).join('')}`)

  const stop = (): void => {
    server.close()
    server.closeAllConnections()
    // Nobody waits for the checks any more.
    void close().finally(() => process.exit())
  }
  process.once('SIGINT', stop).once('SIGTERM', stop)
  await check(config)
}

/** Says once what would keep people from logging in; the app runs on, since much of it is put right while it does. */
async function check(config: IDPartnerConfig): Promise<void> {
  const { checks } = await new IDPartner(config).preflight()
  const wrong = checks.filter(({ status }) => status === 'fail' || status === 'warn')
  for (const { id, status, message, fix } of wrong) {
    console.warn(`  ${status.toUpperCase()} ${id}: ${message}\n       → ${fix ?? 'look at it'}`)
  }
  const passed = checks.filter(({ status }) => status === 'ok').map(({ id }) => id)
  const outcome = wrong.length === 0 ? 'all well' : `${String(wrong.length)} to look at, above`
  console.log(`  Checked   ${outcome} (${passed.join(', ')})\n`)
}

function platform(config: IDPartnerConfig): Counterpart {
  const about = { Client: config.client_id, Callback: config.callback }
  return { config, about, close: () => Promise.resolve() }
}

async function sandbox(
  { flow, auth, sandboxHost, sandboxPort }: Settings,
  url: string,
): Promise<Counterpart> {
  const jwks = await developmentKeys('.keys', console.warn).catch(explained)
  // Not loaded for the real platform: the sandbox needs packages that a real app does without.
  const { startSandbox } = await import('passport-idpartner/sandbox')
  const running = await startSandbox({
    client_id: 'quayside',
    client_name: 'Quayside',
    client_uri: url,
    callback: `${url}/login/callback`,
    jwks_uri: `${url}/jwks`,
    post_logout_redirect_uris: [`${url}/`],
    backchannel_logout_uri: `${url}/backchannel-logout`,
    host: sandboxHost,
    port: sandboxPort,
    flow,
    token_endpoint_auth_method: auth,
  }).catch(explained)
  const { config, banks } = running
  const persona = banks[0]?.personas[0]
  return {
    config: { ...config, jwks },
    about: {
      Sandbox: `${running.url} (${String(banks.length)} banks, all of them on this machine)`,
      'Log in': `as ${persona?.login ?? ''} with password ${persona?.password ?? ''}`,
    },
    persona,
    close: () => running.close(),
  }
}

/** How browsers on this machine reach what listens there. */
function urlHost(host: string): string {
  if (host === '::1') return '[::1]'
  return host === '127.0.0.1' ? host : 'localhost'
}

function listen(server: Server, { port, host }: Settings): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (err: NodeJS.ErrnoException) => {
      const where = `port ${String(port)} of ${host}`
      const taken = `${where} is in use; choose another with --port`
      reject(
        new SettingsError(err.code === 'EADDRINUSE' ? taken : `cannot listen on ${where}: ${err.message}`),
      )
    })
    server.listen(port, host, () => {
      resolve((server.address() as AddressInfo).port)
    })
  })
}

/** These say what to do in their messages; their stack would only hide it. */
function explained(err: unknown): never {
  throw new SettingsError(err instanceof Error ? err.message : String(err))
}
