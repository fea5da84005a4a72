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

const NUMBERS = ['timeout', 'clock_tolerance']

/** `IDPARTNER_CLIENT_ID` is `client_id`, and `IDPARTNER_JWKS_FILE` the path of what `jwks` is. */
async function fromVariables(env: NodeJS.ProcessEnv): Promise<IDPartnerStrategyOptions> {
  const options: Record<string, unknown> = {}
  for (const [variable, value = ''] of Object.entries(env)) {
    const name = /^IDPARTNER_(.+)$/.exec(variable)?.[1]?.toLowerCase()
    if (name === undefined || value.trim() === '') continue
    if (name.endsWith('_file')) {
      const text = await readText(value.trim())
      options[name.slice(0, -5)] = name === 'jwks_file' ? parsed(text, value.trim()) : text
    } else if (name === 'trusted_issuers') options[name] = value.split(/[\s,]+/).filter(Boolean)
    else options[name] = NUMBERS.includes(name) ? Number(value) : value.trim()
  }
  return options as unknown as IDPartnerStrategyOptions
}

function parsed(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new CannotRun(`${file} is not JSON`)
  }
}
