import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseEnv } from 'node:util'
import type { IDPartnerStrategyOptions } from '../passport/options.js'
import { readText } from './key-file.js'
import { CannotRun } from './terminal.js'

/**
 * The options of a strategy: of a JSON file, of a module whose default export they are, or of variables in an environment.
 *
 * Does not check them: the constructor does.
 *
 * @throws {CannotRun}
 */
export async function readOptions({
  config,
  env,
}: {
  config?: string | undefined
  env?: string | undefined
}): Promise<IDPartnerStrategyOptions> {
  if (config !== undefined && env !== undefined) throw new CannotRun('say --config or --env, not both')
  if (config !== undefined) return /\.json$/i.test(config) ? fromJson(config) : fromModule(config)
  if (env !== undefined) return fromVariables(parseEnv(await readText(env)))
  const local = existsSync('.env') ? parseEnv(readFileSync('.env', 'utf8')) : {}
  const variables = { ...local, ...process.env }
  if (!variables['IDPARTNER_CLIENT_ID']) {
    throw new CannotRun(
      'say where the options are: --config FILE (JSON, or a module that exports them), or --env FILE with IDPARTNER_CLIENT_ID and the like',
    )
  }
  return fromVariables(variables)
}

async function fromJson(file: string): Promise<IDPartnerStrategyOptions> {
  const text = await readText(file)
  try {
    return JSON.parse(text) as IDPartnerStrategyOptions
  } catch {
    // The cause is left out: it quotes the text, which may be a key.
    throw new CannotRun(`${file} is not JSON`)
  }
}

async function fromModule(file: string): Promise<IDPartnerStrategyOptions> {
  await readText(file)
  let loaded: { default?: unknown }
  try {
    loaded = (await import(pathToFileURL(path.resolve(file)).href)) as { default?: unknown }
  } catch (err) {
    const { code, name } = err as NodeJS.ErrnoException
    const hint =
      code === 'ERR_UNKNOWN_FILE_EXTENSION' ? ': this Node loads no TypeScript; use Node 22.18 or later' : ''
    // Its text is left out: it may quote what the module read.
    throw new CannotRun(`${file} could not be loaded (${code ?? name})${hint}`)
  }
  if (typeof loaded.default !== 'object' || loaded.default === null) {
    throw new CannotRun(
      `${file} has to export the strategy's options: export default { client_id, callback, … }`,
    )
  }
  return loaded.default as IDPartnerStrategyOptions
}

const NUMBERS = ['timeout', 'clock_tolerance', 'client_assertion_lifetime', 'max_age', 'loginTtl']

const FLAGS = ['dpop_bound_access_tokens', 'pushed_request_client_id', 'fetchUserInfo', 'receipt']

const JSON_VALUES = ['jwks', 'dpop_key', 'claims', 'authorization_details', 'authorization_params']

const LISTS = ['trusted_issuers', 'resource_servers', 'private_networks']

/** Of one value, or a list of several. */
const ONE_OR_MORE = /_encrypted_response_(alg|enc)$/

/** Names of options in which a letter is large, as variables have none that is small. */
const MIXED = ['fetchUserInfo', 'loginTtl', 'sessionKey']

/** `IDPARTNER_CLIENT_ID` is `client_id`, and `IDPARTNER_JWKS_FILE` the path of what `jwks` is. */
async function fromVariables(env: NodeJS.ProcessEnv): Promise<IDPartnerStrategyOptions> {
  const options: Record<string, unknown> = {}
  for (const [variable, value = ''] of Object.entries(env)) {
    const spelled = /^IDPARTNER_(.+?)(_FILE)?$/.exec(variable)
    if (spelled === null || value.trim() === '') continue
    const [, upper = '', isFile] = spelled
    const lower = upper.toLowerCase()
    const name = MIXED.find((one) => one.toLowerCase() === lower) ?? lower
    const text = value.trim()
    if (isFile === undefined) options[name] = valueOf(name, text, variable)
    // Certificates and their keys may be of bytes that are no text: the client reads them itself.
    else if (name.startsWith('tls_')) options[name] = pathToFileURL(text).href
    else options[name] = valueOf(name, await readText(text), text)
  }
  return options as unknown as IDPartnerStrategyOptions
}

/** What is no number, or neither true nor false, stays as it is: the constructor says so. */
function valueOf(name: string, text: string, source: string): unknown {
  const words = text.split(/[\s,]+/).filter(Boolean)
  if (NUMBERS.includes(name)) return Number(text)
  if (FLAGS.includes(name)) return ['true', 'false'].includes(text) ? text === 'true' : text
  if (JSON_VALUES.includes(name)) return /^file:/i.test(text) ? text : parsed(text, source)
  if (LISTS.includes(name)) return words
  return ONE_OR_MORE.test(name) && words.length > 1 ? words : text
}

function parsed(text: string, source: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new CannotRun(`${source} is not JSON`)
  }
}
