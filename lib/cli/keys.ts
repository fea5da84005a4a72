import { existsSync } from 'node:fs'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { fail, ok, summary, warn, type Check } from '../client/check.js'
import { keyChecks, sizeOf } from '../client/key-checks.js'
import { IDPartnerError } from '../errors.js'
import {
  KEY_ENCRYPTION_ALGS,
  SIGNING_ALGS,
  type KeyEncryptionAlg,
  type SigningAlg,
} from '../jwt/algorithms.js'
import { checkJwks, generateJwks, importKeys, type KeyStatus } from '../jwt/keys.js'
import { createKeyFile, isOpenToOthers, readKeyFile, replaceKeyFile, type FileKey } from './key-file.js'
import { report } from './report.js'
import { table } from './table.js'
import { CannotRun, showing, type Terminal } from './terminal.js'

interface MakeOptions {
  alg?: SigningAlg
  enc?: KeyEncryptionAlg
  modulusLength?: number
}

type Use = FileKey['use']

const RESTART = 'Restart every process of the application whose option "jwks" is no file: URL'

/** `keys`: the application's own keys, in a file of their own, from the first pair through each rotation. */
export function keysCommand(keys: Command, terminal: Terminal, ended: (code: number) => void): void {
  // As usual again: here each is known with what it takes.
  keys.configureHelp({})
  const command = (name: string, description: string): Command =>
    keys
      .command(name)
      .description(description)
      .argument('<FILE>', 'the private JWKS')
      .option('--json', 'print JSON')
  const making = (one: Command): Command =>
    one
      .addOption(new Option('--alg <ALG>', 'what the signing key signs with').choices(SIGNING_ALGS))
      .addOption(
        new Option('--enc <ALG>', 'how answers are encrypted to the other').choices(KEY_ENCRYPTION_ALGS),
      )
      .option('--modulus-length <BITS>', 'size of RSA keys (default: 2048)', bits)
  const use = (): Option => new Option('--use <USE>', 'only the keys for this').choices(['sig', 'enc'])

  /** Prints what is in a file now. */
  const show = (file: string, found: readonly FileKey[], json: boolean | undefined, said: string): void => {
    if (json) {
      terminal.out(`${JSON.stringify({ ok: true, file, keys: found.map(entry) }, null, 2)}\n`)
      return
    }
    terminal.out(table([['KID', 'USE', 'ALG', 'SIZE', 'STATUS'], ...found.map(row)]))
    if (said !== '') terminal.out(`\n${said}\n`)
  }
  const replace = async (
    file: string,
    found: FileKey[],
    json: boolean | undefined,
    said: string,
  ): Promise<void> => {
    await replaceKeyFile(file, found)
    show(file, found, json, said)
  }

  making(
    command('new', 'make a file with a signing key and an encryption key; an existing one is left alone'),
  ).action(async (file: string, { json, ...options }: MakeOptions & { json?: true }) => {
    const made = await make(terminal, options, 'current')
    await createKeyFile(file, made)
    show(
      file,
      made,
      json,
      `${file} holds private keys and is for its owner alone: keep it out of the repository.\n` +
        `It goes to the option "jwks": pathToFileURL('${file}'), or JSON.parse(readFileSync('${file}', 'utf8'))`,
    )
  })

  command('list', 'list the keys, without anything secret').action(
    async (file: string, { json }: { json?: true }) => {
      show(file, await read(file), json, '')
    },
  )

  making(command('next', 'add the next keys: published, and not signing yet'))
    .addOption(use())
    .action(
      async (file: string, { json, use: only, ...options }: MakeOptions & { json?: true; use?: Use }) => {
        const found = await read(file)
        const uses = wanted(found, only, options)
        const waiting = found.find((one) => uses.includes(one.use) && one.status === 'next')
        if (waiting) {
          throw new CannotRun(
            `${file} has a next key already (${waiting.kid}): "keys promote" makes it current`,
          )
        }
        const made = await make(terminal, { ...algsOf(found), ...defined(options) }, 'next')
        const added = made.filter((one) => uses.includes(one.use))
        await replace(
          file,
          [...found, ...added],
          json,
          `${RESTART}, so that the new keys are published. Wait until the banks have\nfetched them, a day to be sure; then: npx passport-idpartner keys promote ${file}`,
        )
      },
    )

  command('promote', 'make the next keys current, and retire those that were')
    .addOption(use())
    .action(async (file: string, { json, use: only }: { json?: true; use?: Use }) => {
      const found = await read(file)
      const promoted = found.filter((one) => one.status === 'next' && one.use === (only ?? one.use))
      if (promoted.length === 0) {
        throw new CannotRun(`${file} has no next key to promote: "keys next" adds one`)
      }
      const status = (one: FileKey): KeyStatus => {
        if (promoted.includes(one)) return 'current'
        return isReplaced(one, promoted, found) ? 'retired' : one.status
      }
      await replace(
        file,
        found.map((one) => ({ ...one, status: status(one) })),
        json,
        `${RESTART}. When the last answer to the old keys must have come, a day later to\nbe sure, drop them: npx passport-idpartner keys retire ${file} --drop`,
      )
    })

  command('retire', 'take a key out of use; with --drop, take the retired ones out of the file')
    .argument('[KID...]', 'which keys')
    // One name in 64 begins with a dash.
    .allowUnknownOption()
    .option('--drop', 'remove retired keys; nothing that was encrypted to them can be read any more')
    .action(async (file: string, kids: string[], { json, drop }: { json?: true; drop?: true }) => {
      if (isLikeAnOption(file) && !existsSync(file)) {
        throw new CannotRun(`there is no file ${file}, and "keys retire" has no such option: see --help`)
      }
      const found = await read(file)
      const stranger = kids.find((kid) => !found.some((one) => one.kid === kid))
      if (stranger !== undefined) {
        const option = isLikeAnOption(stranger) ? ', and "keys retire" has no such option' : ''
        throw new CannotRun(`${file} has no key ${stranger}${option}: "keys list" names them`)
      }
      const retired = found.map((one) =>
        kids.includes(one.kid) ? { ...one, status: 'retired' as const } : one,
      )
      const leaving = retired.filter(
        (one) => one.status === 'retired' && (kids.length === 0 || kids.includes(one.kid)),
      )
      if (leaving.length === 0) {
        throw new CannotRun(
          `${file} has no retired key; name the one to retire, or let another take its place with "keys next"`,
        )
      }
      const left = drop ? retired.filter((one) => !leaving.includes(one)) : retired
      for (const which of ['sig', 'enc'] as const) {
        if (hasCurrent(found, which) && !hasCurrent(left, which)) {
          throw new CannotRun(
            `that would leave ${file} without a current key for "${which}": put another in its place first, with "keys next" and "keys promote"`,
          )
        }
      }
      const names = leaving.map(({ kid }) => kid).join(', ')
      await replace(
        file,
        left,
        json,
        drop
          ? `Dropped: ${names}. ${RESTART}.`
          : `Retired: ${names}. Published, and decrypts, until dropped: npx passport-idpartner keys retire ${file} --drop`,
      )
    })

  command('public', 'print the public JWKS, as jwksRouter publishes it').action(async (file: string) => {
    const { public: jwks } = await importKeys(
      checkJwks({ keys: (await read(file)).map(({ jwk, kid }) => ({ ...jwk, kid })) }),
    )
    terminal.out(`${JSON.stringify(jwks, null, 2)}\n`)
  })

  command('check', 'say whether the keys can be used').action(
    async (file: string, { json }: { json?: true }) => {
      const checks = await checkFile(file)
      const found = summary(checks)
      report(found, json, terminal)
      ended(found.ok ? 0 : 1)
    },
  )
}

async function checkFile(file: string): Promise<Check[]> {
  let found: FileKey[]
  try {
    found = await readKeyFile(file)
  } catch (err) {
    if (!(err instanceof IDPartnerError)) throw err
    const problem = err.message.replace('option "jwks"', 'the file')
    return [
      fail(
        'file',
        problem,
        'restore it from a copy, or make new keys: npx passport-idpartner keys new OTHER-FILE',
      ),
    ]
  }
  const mode = (await isOpenToOthers(file))
    ? warn('file', 'others than its owner may read the file', `shut them out: chmod 600 ${file}`)
    : ok('file', 'is a JWKS, and for its owner alone')
  return [mode, ...keyChecks(found.map((one) => ({ ...one, jwk: { ...one.jwk, kid: one.kid } })))]
}

/** @throws {CannotRun} also where the file holds no good keys: nothing is done with those */
async function read(file: string): Promise<FileKey[]> {
  try {
    return await readKeyFile(file)
  } catch (err) {
    if (!(err instanceof IDPartnerError)) throw err
    throw new CannotRun(`${file}: ${err.message.replace('option "jwks"', 'it')}`)
  }
}

async function make(terminal: Terminal, options: MakeOptions, status: KeyStatus): Promise<FileKey[]> {
  const jwks = await showing(terminal, 'making keys', () => generateJwks(defined(options)))
  return checkJwks(jwks).map((one) => ({ ...one, status, kid: one.jwk.kid ?? '' }))
}

/** What the next keys are for: what the present ones are for, and what is asked for. */
function wanted(found: readonly FileKey[], only: Use | undefined, { alg, enc }: MakeOptions): Use[] {
  if (only !== undefined) return [only]
  return (['sig', 'enc'] as const).filter(
    (use) => found.some((one) => one.use === use) || (use === 'sig' ? alg : enc) !== undefined,
  )
}

/** The algorithms of the present keys, which the next ones have as well by default. */
function algsOf(found: readonly FileKey[]): MakeOptions {
  const algs = defined({
    alg: found.find((one) => one.use === 'sig' && one.status === 'current')?.alg,
    enc: found.find((one) => one.use === 'enc' && one.status === 'current')?.alg,
  })
  return algs as MakeOptions
}

/** Whether promoted keys take the place of a current one: the one of their algorithm, or else all for their use. */
function isReplaced(one: FileKey, promoted: readonly FileKey[], found: readonly FileKey[]): boolean {
  if (one.status !== 'current') return false
  return promoted.some(({ use, alg }) => {
    const sameAlg = found.some(
      (other) => other.status === 'current' && other.use === use && other.alg === alg,
    )
    return one.use === use && (!sameAlg || one.alg === alg)
  })
}

function hasCurrent(keys: readonly FileKey[], use: Use): boolean {
  return keys.some((one) => one.use === use && one.status === 'current')
}

function isLikeAnOption(argument: string): boolean {
  return argument.startsWith('-')
}

function entry({ kid, use, alg, status, jwk }: FileKey): Record<string, string> {
  return { kid, use, alg, size: sizeOf(jwk), status }
}

function row(key: FileKey): string[] {
  return Object.values(entry(key))
}

function bits(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It has to be a number of bits.')
  return Number(text)
}

/** Options that are `undefined` count as not given. */
function defined<T extends object>(options: T): { [Name in keyof T]: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never
}
