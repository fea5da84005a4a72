import { readFileSync, statSync, type Stats } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { IDPartnerError, failureKind } from '../errors.js'
import type { ClientJwks } from '../jwt/outside-keys.js'
import { isTimeout, within } from '../net/deadline.js'
import { badOption } from './option-errors.js'

/**
 * A value, or where it is read: a `file:` URL, whose file is read again when it changes, or a function, which is asked
 * again by `reload()`.
 */
export type Source<T> = T | string | URL | (() => T | Promise<T>)

const KEYS = ['jwks'] as const
const CERTIFICATES = [
  'tls_client_cert',
  'tls_client_key',
  'tls_client_pfx',
  'tls_client_passphrase',
  'tls_server_ca',
] as const

/** The options that may be read from elsewhere: those of one group are good together, or not at all. */
export const GROUPS = [KEYS, CERTIFICATES] as const
export type Sourced = (typeof GROUPS)[number][number]
const SOURCED: readonly Sourced[] = [...KEYS, ...CERTIFICATES]

/** What was read, by option. */
export type Values = Partial<Record<Sourced, unknown>>

/** What functions have promised, by option. */
export type Promised = ReadonlyMap<Sourced, Promise<unknown>>

/** Far more than keys and certificates take, and no device has an end. */
const MAX_FILE_BYTES = 1024 * 1024

/** Where the options of one client come from that are read elsewhere. */
export class Sources {
  readonly #files = new Map<Sourced, string>()
  readonly #functions = new Map<Sourced, () => unknown>()

  /** @throws {IDPartnerError} `config_invalid`, with a message that names the option */
  constructor(options: object) {
    for (const name of SOURCED) {
      // What is no object at all, the schema refuses in words of its own.
      const source: unknown = (options as Values | null | undefined)?.[name]
      if (typeof source === 'function') this.#functions.set(name, source as () => unknown)
      else if (isFileUrl(source)) this.#files.set(name, pathOf(name, source))
    }
  }

  get areAny(): boolean {
    return this.#files.size + this.#functions.size > 0
  }

  get areFiles(): boolean {
    return this.#files.size > 0
  }

  /**
   * Reads the files at once, and asks the functions, of which some may answer later.
   *
   * @throws {IDPartnerError} `config_invalid`, with a message that names the option
   */
  begin(): { values: Values; promised: Promised } {
    const values: Values = {}
    for (const [name, path] of this.#files) {
      try {
        checkFile(statSync(path))
        values[name] = readFileSync(path)
      } catch (err) {
        throw unreadable(name, path, err)
      }
    }
    const promised = new Map<Sourced, Promise<unknown>>()
    for (const [name, ask] of this.#functions) {
      const answer = asked(name, ask)
      if (answer instanceof Promise) promised.set(name, answer)
      else values[name] = checked(name, answer)
    }
    return { values, promised }
  }

  /** Reads files and asks functions again. @throws {IDPartnerError} as {@link Sources.begin} */
  async read(group: readonly Sourced[], milliseconds: number): Promise<Values> {
    const promised = new Map<Sourced, Promise<unknown>>()
    for (const name of group) {
      const ask = this.#functions.get(name)
      if (ask) promised.set(name, Promise.resolve(asked(name, ask)))
    }
    const answered = this.answers(promised, milliseconds)
    const [files, others] = await Promise.all([this.readFiles(group, milliseconds), answered])
    return { ...files, ...others }
  }

  /** Reads files again. @throws {IDPartnerError} as {@link Sources.begin} */
  async readFiles(group: readonly Sourced[], milliseconds: number): Promise<Values> {
    const reading = group.map(async (name): Promise<[] | [[Sourced, Buffer]]> => {
      const path = this.#files.get(name)
      if (path === undefined) return []
      const read = async (): Promise<Buffer> => {
        checkFile(await stat(path))
        return readFile(path)
      }
      const content = await within(milliseconds, read).catch((err: unknown) => {
        throw unreadable(name, path, err)
      })
      return [[name, content]]
    })
    return Object.fromEntries((await Promise.all(reading)).flat())
  }

  /**
   * What was promised, as soon as all of it is there.
   *
   * @param milliseconds for each
   * @throws {IDPartnerError} `config_invalid`, with a message that names the option
   */
  async answers(promised: Promised, milliseconds: number): Promise<Values> {
    const waiting = [...promised].map(async ([name, promise]) => {
      const value = await within(milliseconds, () => promise).catch((err: unknown) => {
        if (!isTimeout(err)) throw failed(name, err)
        throw unavailable(name, 'is a function that gave nothing in time (see the option "timeout")')
      })
      return [name, checked(name, value)] as const
    })
    return Object.fromEntries(await Promise.all(waiting))
  }
}

/** Options without those that are awaited, nor what only goes with them. */
export function without<T extends object>(options: T, awaited: readonly Sourced[]): T {
  const isTls = awaited.some((name) => name.startsWith('tls_client_'))
  const isLeft = (name: string): boolean =>
    !awaited.some((one) => one === name) && !(isTls && name.startsWith('tls_client_'))
  return Object.fromEntries(Object.entries(options).filter(([name]) => isLeft(name))) as T
}

/** Whether two values of an option are the same; objects never count as that, since a key may be behind anything. */
export function isSame(one: unknown, other: unknown): boolean {
  if (one instanceof Uint8Array && other instanceof Uint8Array) return Buffer.compare(one, other) === 0
  return one === other && typeof one !== 'object'
}

/**
 * Options with what was read in place of where it is read.
 *
 * @throws {IDPartnerError} `config_invalid`: a JWKS that is no JSON
 */
export function withValues<T extends object>(options: T, values: Values): T {
  const { jwks, tls_client_passphrase: passphrase } = values
  return {
    ...options,
    ...values,
    ...(jwks instanceof Uint8Array && { jwks: parsedJwks(jwks) }),
    // An editor ends a line with its sign, and a passphrase with the line.
    ...(passphrase instanceof Uint8Array && {
      tls_client_passphrase: Buffer.from(passphrase)
        .toString()
        .replace(/\r?\n$/, ''),
    }),
  }
}

/** Options whose sources are read once. @throws {IDPartnerError} `config_invalid` */
export async function withoutSources<T extends object>(options: T): Promise<T> {
  const sources = new Sources(options)
  const { values, promised } = sources.begin()
  return withValues(options, { ...values, ...(await sources.answers(promised, 5000)) })
}

function parsedJwks(content: Uint8Array): ClientJwks {
  try {
    // Some editors begin a file with the mark of its byte order (RFC 8259, section 8.1).
    return JSON.parse(
      Buffer.from(content)
        .toString()
        .replace(/^\uFEFF/, ''),
    ) as ClientJwks
  } catch {
    // The cause is left out: it quotes the text.
    throw badOption('jwks', 'must be read as JSON, and is none: the file may be cut off')
  }
}

/** PEM has line breaks, and may begin with a comment of any words. */
function isFileUrl(value: unknown): value is string | URL {
  return value instanceof URL || (typeof value === 'string' && /^file:(\/\/[^\r\n]*|\S*)$/i.test(value))
}

function pathOf(name: string, url: string | URL): string {
  try {
    return fileURLToPath(url)
  } catch {
    throw badOption(
      name,
      'must be a file: URL of this machine, such as new URL("keys.json", import.meta.url)',
    )
  }
}

class BadFile extends Error {}

function checkFile(file: Stats): void {
  if (!file.isFile()) throw new BadFile('it is no file')
  if (file.size > MAX_FILE_BYTES) throw new BadFile('it is larger than 1 MiB')
}

/** What a function gives, as a promise where it answers later. */
function asked(name: Sourced, ask: () => unknown): unknown {
  let answer: unknown
  try {
    answer = ask()
  } catch (err) {
    throw failed(name, err)
  }
  if (!isThenable(answer)) return answer
  const promise = Promise.resolve(answer)
  // Whoever waits for it gets its failure; without this it would end the process where another option fails first.
  promise.catch(() => undefined)
  return promise
}

function checked(name: Sourced, value: unknown): unknown {
  if (value === undefined || value === null) throw badOption(name, 'is a function that gave nothing')
  return kept(value)
}

/** Of bytes a copy: whoever gave them may wipe them, or read the next ones into the same memory. */
function kept<T>(value: T): T
function kept(value: unknown): unknown {
  return Buffer.isBuffer(value) ? Buffer.from(value) : value
}

/** Options whose bytes nobody else writes into; what is no object is left to whoever judges options. */
export function withOwnBytes<T>(options: T): T {
  if (typeof options !== 'object' || options === null) return options
  const own: Record<string, unknown> = {}
  // An option may be inherited, from what several clients share.
  for (const name in options) own[name] = kept(options[name])
  return own as T
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

/** The words of what failed are left out: they may hold what was being read. */
function failed(name: Sourced, err: unknown): IDPartnerError {
  if (err instanceof IDPartnerError) return err
  return unavailable(name, `is a function that failed${failureKind(err)}`)
}

function unreadable(name: Sourced, path: string, err: unknown): IDPartnerError {
  const why = err instanceof BadFile ? ` (${err.message})` : failureKind(err)
  return badOption(name, `names a file that cannot be read${why}: ${shown(path)}`)
}

/** Its end says more of a path than its beginning. */
function shown(path: string): string {
  return path.length > 120 ? `…${path.slice(-119)}` : path
}

/** As what is only out of reach for now. */
function unavailable(name: Sourced, what: string): IDPartnerError {
  return new IDPartnerError('config_invalid', `option "${name}" ${what}`, { status: 503 })
}
