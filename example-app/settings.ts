import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import type { Flow, IDPartnerConfig, TokenEndpointAuthMethod } from 'passport-idpartner'
import { readJwks } from './dev-keys.js'

/** Something the person at the keyboard can put right; its message is all they need. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
}

type SandboxHost = (typeof SANDBOX_HOSTS)[number]

export interface Settings {
  port: number
  host: string
  sandboxPort: number
  sandboxHost: SandboxHost
  sessionSecret: string | undefined
  flow: Flow
  auth: TokenEndpointAuthMethod
  /** How to reach the real platform; without it the app brings a sandbox. */
  platform: IDPartnerConfig | undefined
}

export const HELP = `npm start -- [options]

  --flow proxy|direct   how the app talks to IDPartner            (proxy)
  --auth METHOD         how it authenticates at banks:            (private_key_jwt)
                        private_key_jwt, client_secret_basic or tls_client_auth
  --port NUMBER         where it listens; 0 takes any free port   (3001)
  --host NAME           where it listens                          (localhost)
  --sandbox-port NUMBER where the sandbox listens                 (any free port)
  --sandbox-host NAME   how browsers find the sandbox: localhost, (localhost)
                        or 127.0.0.1, which is another site, as in life
  --help                this text

Without IDPARTNER_CLIENT_ID in the environment or in .env it starts the sandbox: a whole
IDPartner with banks on this machine. .env.example lists what can be set.
`

const FLOWS: readonly Flow[] = ['proxy', 'direct']
const SANDBOX_HOSTS = ['localhost', '127.0.0.1', '[::1]'] as const
const METHODS: readonly TokenEndpointAuthMethod[] = [
  'private_key_jwt',
  'client_secret_basic',
  'tls_client_auth',
]

/** @throws {SettingsError} */
export async function readSettings(args: string[], env: NodeJS.ProcessEnv): Promise<Settings | 'help'> {
  const flags = readFlags(args)
  if (flags.help) return 'help'
  const flow = oneOf('flow', FLOWS, flags.flow ?? given(env, 'IDPARTNER_FLOW') ?? 'proxy')
  const method = flags.auth ?? given(env, 'IDPARTNER_TOKEN_ENDPOINT_AUTH_METHOD') ?? 'private_key_jwt'
  const auth = oneOf('auth', METHODS, method)
  return {
    port: portNumber(flags.port ?? given(env, 'PORT') ?? '3001'),
    host: flags.host ?? given(env, 'HOST') ?? 'localhost',
    sandboxPort: portNumber(flags['sandbox-port'] ?? '0'),
    sandboxHost: oneOf('sandbox-host', SANDBOX_HOSTS, flags['sandbox-host'] ?? 'localhost'),
    sessionSecret: given(env, 'SESSION_SECRET'),
    flow,
    auth,
    platform: await readPlatform(env, flow, auth),
  }
}

function readFlags(args: string[]) {
  const option = { type: 'string' } as const
  try {
    const options = {
      flow: option,
      auth: option,
      port: option,
      host: option,
      'sandbox-port': option,
      'sandbox-host': option,
      help: { type: 'boolean', short: 'h' },
    } as const
    return parseArgs({ args, options }).values
  } catch (err) {
    const [first] = (err as Error).message.split('. ')
    throw new SettingsError(`${first ?? 'bad options'} (--help lists the options)`)
  }
}

async function readPlatform(
  env: NodeJS.ProcessEnv,
  flow: Flow,
  token_endpoint_auth_method: TokenEndpointAuthMethod,
): Promise<IDPartnerConfig | undefined> {
  const client_id = given(env, 'IDPARTNER_CLIENT_ID')
  if (client_id === undefined) {
    const forBoth = ['IDPARTNER_FLOW', 'IDPARTNER_TOKEN_ENDPOINT_AUTH_METHOD']
    const stray = Object.keys(env).find(
      (name) => name.startsWith('IDPARTNER_') && !forBoth.includes(name) && given(env, name),
    )
    if (stray !== undefined) throw new SettingsError(`${stray} is set, but IDPARTNER_CLIENT_ID is not`)
    return undefined
  }
  const callback = given(env, 'IDPARTNER_CALLBACK')
  if (callback === undefined)
    throw new SettingsError('IDPARTNER_CLIENT_ID is set, but IDPARTNER_CALLBACK is not')
  const jwksFile = given(env, 'IDPARTNER_JWKS_FILE')
  if (jwksFile === undefined && (flow === 'proxy' || token_endpoint_auth_method === 'private_key_jwt')) {
    throw new SettingsError(
      'IDPARTNER_JWKS_FILE is not set, and the proxy flow as well as private_key_jwt need the keys in it',
    )
  }
  return {
    client_id,
    callback,
    flow,
    token_endpoint_auth_method,
    jwks: jwksFile === undefined ? undefined : await readable('IDPARTNER_JWKS_FILE', jwksFile, readJwks),
    client_secret: given(env, 'IDPARTNER_CLIENT_SECRET'),
    trusted_issuers: given(env, 'IDPARTNER_TRUSTED_ISSUERS')
      ?.split(/[\s,]+/)
      .filter(Boolean),
    tls_client_cert: await pem(env, 'IDPARTNER_TLS_CLIENT_CERT_FILE'),
    tls_client_key: await pem(env, 'IDPARTNER_TLS_CLIENT_KEY_FILE'),
    tls_server_ca: await pem(env, 'IDPARTNER_TLS_SERVER_CA_FILE'),
    oidc_proxy_service_url: given(env, 'IDPARTNER_OIDC_PROXY_SERVICE_URL'),
    trust_directory_service_url: given(env, 'IDPARTNER_TRUST_DIRECTORY_SERVICE_URL'),
    trust_directory_issuer: given(env, 'IDPARTNER_TRUST_DIRECTORY_ISSUER'),
    account_selector_service_url: given(env, 'IDPARTNER_ACCOUNT_SELECTOR_SERVICE_URL'),
  }
}

/** An empty line in .env is as good as none. */
function given(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = env[name]?.trim()
  return value === '' ? undefined : value
}

async function pem(env: NodeJS.ProcessEnv, name: string): Promise<Buffer | undefined> {
  const path = given(env, name)
  return path === undefined ? undefined : await readable(name, path, (file) => readFile(file))
}

async function readable<T>(name: string, path: string, read: (path: string) => Promise<T>): Promise<T> {
  try {
    return await read(path)
  } catch (err) {
    throw new SettingsError(`${name} cannot be read: ${(err as Error).message}`)
  }
}

function oneOf<T extends string>(flag: string, values: readonly T[], value: string): T {
  const found = values.find((one) => one === value)
  if (found === undefined)
    throw new SettingsError(`--${flag} must be ${values.join(' or ')}, and not "${value}"`)
  return found
}

function portNumber(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65535)
    throw new SettingsError(`the port must be a number up to 65535, and not "${text}"`)
  return port
}
