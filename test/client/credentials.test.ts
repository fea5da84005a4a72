import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { TLSSocket } from 'node:tls'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { IDPartner, IDPartnerError, generateJwks, type IDPartnerConfig } from 'passport-idpartner'
import { CompactEncrypt, importJWK, type JSONWebKeySet, type JWK } from 'jose'
import { Credentials } from '../../lib/client/credentials.js'
import { decryptJwt } from '../../lib/jwt/encrypted-jwt.js'
import { clientCertificate, tlsCertificates, type Pem } from '../support/certificates.js'
import { holdClock, useClock } from '../support/clock.js'
import { pkcs12 } from '../support/pkcs12.js'

useClock()

const DAY = 24 * 60 * 60_000
const LOOK = 5000
const SECRET = 'an-access-key-of-the-vault'

let folder: string
let first: JSONWebKeySet
let second: JSONWebKeySet
let old: Pem
let renewed: Pem
let said: [string, unknown][]
const lines: [string, string][] = []

const NAMES = ['reloaded', 'kept', 'expiring']
const listeners = NAMES.map((name) => {
  const listener = (payload: unknown): void => void said.push([name, payload])
  return [`passport-idpartner:${name}`, listener] as const
})

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'keys-'))
  const make = (): Promise<JSONWebKeySet> => generateJwks({ alg: 'ES256', enc: 'ECDH-ES' })
  ;[first, second, old, renewed] = await Promise.all([
    make(),
    make(),
    clientCertificate('old'),
    clientCertificate('renewed'),
  ])
  for (const [channel, listener] of listeners) subscribe(channel, listener)
})

beforeEach(() => {
  said = []
  lines.length = 0
  holdClock()
})

afterAll(() => {
  for (const [channel, listener] of listeners) unsubscribe(channel, listener)
  rmSync(folder, { recursive: true })
})

const at = (name: string): string => path.join(folder, name)

/** Writes a file as a careful program does. */
function put(name: string, content: unknown): string {
  const text =
    typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content)
  writeFileSync(at(`${name}.new`), text)
  renameSync(at(`${name}.new`), at(name))
  return pathToFileURL(at(name)).href
}

const options = (more: Partial<IDPartnerConfig>): IDPartnerConfig => ({
  client_id: 'app',
  callback: 'https://app.example/callback',
  id_token_encrypted_response_alg: 'ECDH-ES',
  jwks: first,
  log: (line, level) => lines.push([level, line]),
  ...more,
})

const kids = async (client: { getPublicJWKs: IDPartner['getPublicJWKs'] }): Promise<unknown[]> =>
  (await client.getPublicJWKs()).keys.map(({ kid }) => kid)

const publicPart = (jwk: JWK): JWK => Object.fromEntries(Object.entries(jwk).filter(([name]) => name !== 'd'))

const kidsOf = (jwks: JSONWebKeySet): unknown[] => jwks.keys.map(({ kid }) => kid)

const kidsIn = (own: Credentials): unknown[] => own.latest?.keys.public.keys.map(({ kid }) => kid) ?? []

describe('keys that are read', () => {
  test.each<[string, () => IDPartnerConfig['jwks']]>([
    ['from a file, by its URL', () => new URL(put('read.json', first))],
    ['from a file, by its URL as text', () => put('read.json', first)],
    ['from a function', () => () => first],
    ['from a function that takes its time', () => () => Promise.resolve(first)],
  ])('%s are used', async (_, jwks) => {
    const client = new IDPartner(options({ jwks: jwks() }))
    expect(await kids(client)).toEqual(kidsOf(first))
  })

  test('are those of the file after a reload', async () => {
    const client = new IDPartner(options({ jwks: put('reload.json', first) }))
    await kids(client)
    put('reload.json', second)
    await client.reload()
    expect(await kids(client)).toEqual(kidsOf(second))
    expect(said).toEqual([['reloaded', { options: ['jwks'] }]])
    expect(lines).toEqual([['info', 'passport-idpartner: uses new jwks']])
  })

  test('are those of the function after a reload', async () => {
    const given = [first, second]
    const client = new IDPartner(options({ jwks: () => Promise.resolve(given.shift() ?? second) }))
    expect(await kids(client)).toEqual(kidsOf(first))
    await client.reload()
    expect(await kids(client)).toEqual(kidsOf(second))
  })

  test('are new ones after a reload in the same object as well', async () => {
    const keys = { ...first }
    const client = new IDPartner(options({ jwks: () => keys }))
    await kids(client)
    keys.keys = second.keys
    await client.reload()
    expect(await kids(client)).toEqual(kidsOf(second))
  })

  test('are not asked of the function without a reload', async () => {
    const ask = jest.fn(() => first)
    const client = new IDPartner(options({ jwks: ask }))
    await kids(client)
    jest.advanceTimersByTime(10 * LOOK)
    await kids(client)
    expect(ask).toHaveBeenCalledTimes(1)
  })

  test.each<[string, (name: string) => void]>([
    ['is renamed into its place', (name) => put(name, second)],
    [
      'is written over',
      (name) => {
        writeFileSync(at(name), JSON.stringify(second))
      },
    ],
    [
      'is removed, and made anew',
      (name) => {
        rmSync(at(name))
        writeFileSync(at(name), JSON.stringify(second))
      },
    ],
  ])('are new ones soon after the file %s', async (_, change) => {
    const own = new Credentials(options({ jwks: put('watched.json', first) }))
    await own.current()
    change('watched.json')
    await own.look()
    expect(kidsIn(own)).toEqual(kidsOf(second))
  })

  test('are new ones after a folder is swapped by its link, as Kubernetes does', async () => {
    for (const [name, jwks] of [
      ['v1', first],
      ['v2', second],
    ] as const) {
      mkdirSync(at(name))
      put(`${name}/jwks.json`, jwks)
    }
    symlinkSync('v1', at('..data'))
    symlinkSync('..data/jwks.json', at('linked.json'))
    const own = new Credentials(options({ jwks: pathToFileURL(at('linked.json')) }))
    await own.current()
    symlinkSync('v2', at('..data_tmp'))
    renameSync(at('..data_tmp'), at('..data'))
    await own.look()
    expect(kidsIn(own)).toEqual(kidsOf(second))
  })

  test('keep no process alive, nor does looking at certificates', () => {
    jest.useRealTimers()
    const timers = jest.spyOn(globalThis, 'setInterval')
    new Credentials(options({ jwks: put('unref.json', first) }))
    expect(timers).toHaveBeenCalledTimes(2)
    for (const { value } of timers.mock.results) expect((value as NodeJS.Timeout).hasRef()).toBe(false)
    timers.mockRestore()
  })

  test('are looked for every five seconds', async () => {
    const own = new Credentials(options({ jwks: put('timed.json', first) }))
    const { keys } = await own.current()
    put('timed.json', second)
    jest.advanceTimersByTime(LOOK)
    while (own.latest?.keys === keys) await new Promise(setImmediate)
    expect(kidsIn(own)).toEqual(kidsOf(second))
  })
})

describe('a new file of keys that is no good', () => {
  test.each<[string, (file: string) => void, RegExp]>([
    [
      'cut off',
      (file) => {
        truncateSync(file, 200)
      },
      /"jwks" must be read as JSON, and is none: the file may be cut off/,
    ],
    [
      'empty',
      (file) => {
        truncateSync(file, 0)
      },
      /"jwks" must be read as JSON/,
    ],
    [
      'no JWKS',
      (file) => {
        writeFileSync(file, '{"kid":"geheim-1"}')
      },
      /"jwks" must be a JWKS/,
    ],
    [
      'null',
      (file) => {
        writeFileSync(file, 'null')
      },
      /"jwks" must be a JWKS/,
    ],
    [
      'without a key',
      (file) => {
        writeFileSync(file, '{"keys":[]}')
      },
      /"jwks" holds no key/,
    ],
    [
      'with public keys',
      (file) => {
        writeFileSync(file, JSON.stringify({ keys: second.keys.map(publicPart) }))
      },
      /"jwks" must hold private keys/,
    ],
    [
      'with a key of two halves',
      (file) => {
        writeFileSync(
          file,
          JSON.stringify({ keys: first.keys.map((one, index) => ({ ...one, d: second.keys[index]?.d })) }),
        )
      },
      /holds a damaged key/,
    ],
    [
      'without a key that signs',
      (file) => {
        writeFileSync(file, JSON.stringify({ keys: second.keys.filter(({ use }) => use === 'enc') }))
      },
      /needs a signing key/,
    ],
    [
      'without a key that decrypts',
      (file) => {
        writeFileSync(file, JSON.stringify({ keys: second.keys.filter(({ use }) => use === 'sig') }))
      },
      /needs an encryption key in "jwks"/,
    ],
    [
      'far too large',
      (file) => {
        writeFileSync(file, ' '.repeat(1024 * 1024 + 1))
      },
      /cannot be read \(it is larger than 1 MiB\)/,
    ],
    [
      'not there',
      (file) => {
        rmSync(file)
      },
      /"jwks" names a file that cannot be read \(ENOENT\): .*broken\.json/,
    ],
    [
      'a folder',
      (file) => {
        rmSync(file)
        mkdirSync(file)
      },
      /cannot be read \(it is no file\)/,
    ],
    [
      'a link that leads to itself',
      (file) => {
        rmSync(file)
        symlinkSync(path.basename(file), file)
      },
      /cannot be read \(ELOOP\)/,
    ],
  ])('%s, leaves the present ones in use and says so once', async (_, breakIt, message) => {
    rmSync(at('broken.json'), { recursive: true, force: true })
    const own = new Credentials(options({ jwks: put('broken.json', first) }))
    await own.current()
    breakIt(at('broken.json'))
    await own.look()
    // It may be half written.
    expect(said).toEqual([])
    for (let looks = 0; looks < 5; looks++) await own.look()
    expect(said).toEqual([['kept', { code: 'config_invalid', message: expect.stringMatching(message) }]])
    expect(lines).toEqual([
      [
        'error',
        expect.stringMatching(
          /^passport-idpartner: keeps its present keys and certificates \(config_invalid\): option ".*"jwks"|: option "jwks"/,
        ),
      ],
    ])
    expect(JSON.stringify([lines, said])).not.toContain(String(second.keys[0]?.d))
    expect(kidsIn(own)).toEqual(kidsOf(first))
    await expect(own.reload()).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(message),
    })
    expect(kidsIn(own)).toEqual(kidsOf(first))
    rmSync(at('broken.json'), { recursive: true, force: true })
    put('broken.json', second)
    await own.look()
    expect(kidsIn(own)).toEqual(kidsOf(second))
    expect(said.at(-1)).toEqual(['reloaded', { options: ['jwks'] }])
  })

  test('is not looked at twice at once', async () => {
    const own = new Credentials(options({ jwks: put('twice.json', first) }))
    await own.current()
    rmSync(at('twice.json'))
    await Promise.all([own.look(), own.look(), own.look()])
    expect(said).toEqual([])
  })

  test('is told of again where it was mended in between', async () => {
    const own = new Credentials(options({ jwks: put('again.json', first) }))
    await own.current()
    for (const keys of [first, second]) {
      rmSync(at('again.json'))
      for (let looks = 0; looks < 3; looks++) await own.look()
      put('again.json', keys)
      await own.look()
    }
    expect(said.map(([name]) => name)).toEqual(['kept', 'kept', 'reloaded'])
  })

  test('stops nobody from renewing a certificate', async () => {
    const own = new Credentials(
      options({
        jwks: put('one.json', first),
        tls_client_cert: put('c.pem', old.cert),
        tls_client_key: put('k.pem', old.key),
      }),
    )
    await own.current()
    rmSync(at('one.json'))
    put('c.pem', renewed.cert)
    put('k.pem', renewed.key)
    await own.look()
    expect(own.latest?.config.tls.cert?.toString()).toBe(renewed.cert)
    expect(said).toEqual([['reloaded', { options: ['tls_client_cert', 'tls_client_key'] }]])
    put('c.pem', old.cert)
    put('k.pem', old.key)
    await expect(own.reload()).rejects.toMatchObject({ message: expect.stringContaining('ENOENT') })
    expect(own.latest?.config.tls.cert?.toString()).toBe(old.cert)
  })
})

describe('what the constructor cannot read', () => {
  test.each<[string, Partial<IDPartnerConfig>, RegExp]>([
    [
      'a file that is not there',
      { jwks: 'file:///nowhere/jwks.json' },
      /"jwks" names a file that cannot be read \(ENOENT\): \/nowhere\/jwks.json$/,
    ],
    [
      'a file of another machine',
      { jwks: 'file://elsewhere/jwks.json' },
      /"jwks" must be a file: URL of this machine/,
    ],
    [
      'a folder',
      { tls_server_ca: pathToFileURL(tmpdir()) },
      /"tls_server_ca" names a file that cannot be read \(it is no file\)/,
    ],
    ['a URL that is no file', { jwks: new URL('https://vault.example/jwks') }, /"jwks" must be a file: URL/],
    [
      'a function that gives nothing',
      { jwks: (() => undefined) as never },
      /"jwks" is a function that gave nothing/,
    ],
    [
      'a function that throws',
      {
        jwks: () => {
          throw new TypeError(SECRET)
        },
      },
      /"jwks" is a function that failed \(TypeError\)$/,
    ],
    ['a function that gives no keys', { jwks: () => ({ keys: [] }) }, /"jwks" holds no key/],
    [
      'a function that throws an error of this package, which says all',
      {
        jwks: () => {
          throw new IDPartnerError('config_invalid', 'the vault is sealed')
        },
      },
      /^the vault is sealed$/,
    ],
    [
      'a file that is not there, and far away',
      { jwks: `file:///${'nowhere/'.repeat(30)}jwks.json` },
      /\(ENOENT\): ….{110}jwks.json$/,
    ],
    [
      'a function that gives another certificate',
      { tls_client_cert: () => 'none', tls_client_key: () => 'none' },
      /"tls_client_cert" must be a certificate/,
    ],
    ['an empty authority', { tls_server_ca: '' }, /"tls_server_ca" must not be empty/],
    ['no bytes', { tls_server_ca: Buffer.alloc(0) }, /"tls_server_ca" must not be empty/],
    [
      'a function that gives empty texts',
      { tls_client_cert: () => '', tls_client_key: () => '' },
      /"tls_client_cert" must not be empty/,
    ],
    [
      'a file whose URL has spaces as they are',
      { tls_server_ca: 'file:///nowhere/my keys/ca.pem' },
      /"tls_server_ca" names a file that cannot be read \(ENOENT\): \/nowhere\/my keys\/ca.pem$/,
    ],
  ])('is refused at once: %s', (_, more, message) => {
    let err: unknown
    try {
      new IDPartner(options(more))
    } catch (thrown) {
      err = thrown
    }
    expect(err).toMatchObject({ code: 'config_invalid', message: expect.stringMatching(message) })
    expect(String((err as Error).stack)).not.toContain(SECRET)
  })
})

test('what answers later and fails ends no process where another option is wrong at once', async () => {
  const unhandled = jest.fn()
  process.on('unhandledRejection', unhandled)
  try {
    const fails = (): Promise<never> => Promise.reject(new Error(SECRET))
    const throws = (): never => {
      throw new Error(SECRET)
    }
    expect(() => new IDPartner(options({ jwks: fails, client_id: '' }))).toThrow('"client_id"')
    const both = { tls_client_cert: fails, tls_client_key: throws }
    expect(() => new IDPartner(options(both))).toThrow('"tls_client_key"')
    let isLater = false
    const own = new Credentials(
      options({
        tls_client_cert: () => (isLater ? fails() : old.cert),
        tls_client_key: () => (isLater ? throws() : old.key),
      }),
    )
    await own.current()
    isLater = true
    await expect(own.reload()).rejects.toMatchObject({ message: expect.stringContaining('"tls_client_key"') })
    await new Promise(setImmediate)
    expect(unhandled).not.toHaveBeenCalled()
  } finally {
    process.off('unhandledRejection', unhandled)
  }
})

describe('a function that answers later', () => {
  const later = (answer: () => Promise<unknown>): IDPartner =>
    new IDPartner(options({ jwks: answer as never, timeout: 200 }))

  test.each<[string, () => Promise<unknown>, number, RegExp]>([
    [
      'and fails',
      () => Promise.reject(new RangeError(SECRET)),
      503,
      /"jwks" is a function that failed \(RangeError\)$/,
    ],
    [
      'and fails with a code',
      () => Promise.reject(Object.assign(new Error(SECRET), { code: 'ECONNREFUSED' })),
      503,
      /failed \(ECONNREFUSED\)$/,
    ],
    ['and fails with no word', () => Promise.reject(new Error()), 503, /is a function that failed$/],
    [
      'and never does',
      () => new Promise(() => undefined),
      503,
      /gave nothing in time \(see the option "timeout"\)/,
    ],
    ['with nothing', () => Promise.resolve(null), 500, /is a function that gave nothing/],
    ['with text', () => Promise.resolve(SECRET), 500, /"jwks" must be a JWKS/],
    ['with no keys', () => Promise.resolve({ keys: [] }), 500, /holds no key/],
  ])('%s: each use is told, and asks again', async (_, answer, status, message) => {
    const ask = jest.fn(answer)
    const client = later(ask)
    const expected = { code: 'config_invalid', status, message: expect.stringMatching(message) }
    for (const use of [
      () => client.getPublicJWKs(),
      () => client.getAuthorizationUrl({}, client.generateProofs(), 'openid'),
      () => client.unpackProxyResponse({ response: 'a.b.c' }),
      () => client.reload(),
    ]) {
      const err: unknown = await use().catch((thrown: unknown) => thrown)
      expect(err).toMatchObject(expected)
      expect(String((err as Error).stack) + JSON.stringify(lines)).not.toContain(SECRET)
    }
    const { ok, checks } = await client.preflight({ offline: true })
    expect(ok).toBe(false)
    expect(checks.at(-1)).toMatchObject({
      id: 'own_keys',
      status: 'fail',
      message: expect.stringMatching(message),
    })
    expect(ask.mock.calls.length).toBeGreaterThanOrEqual(5)
    ask.mockImplementation(() => Promise.resolve(second))
    expect(await kids(client)).toEqual(kidsOf(second))
  })

  test('is checked with all other options when it has', async () => {
    const client = new IDPartner(
      options({ jwks: () => Promise.resolve(first), request_object_signing_alg: 'PS256' }),
    )
    await expect(client.getPublicJWKs()).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('request_object_signing_alg'),
    })
  })

  test('leaves the present keys in use where it fails later', async () => {
    const answers = [() => Promise.resolve(first), () => Promise.reject(new Error(SECRET))]
    const client = later(() => answers.shift()?.() ?? Promise.resolve(second))
    await kids(client)
    await expect(client.reload()).rejects.toMatchObject({ code: 'config_invalid', status: 503 })
    expect(await kids(client)).toEqual(kidsOf(first))
    expect(said).toEqual([
      ['kept', { code: 'config_invalid', message: 'option "jwks" is a function that failed' }],
    ])
    await client.reload()
    expect(await kids(client)).toEqual(kidsOf(second))
  })
})

describe('what logins on their way count on', () => {
  let both: JSONWebKeySet
  const signing = (): JSONWebKeySet => ({ keys: both.keys.filter(({ use }) => use === 'sig') })
  const decrypting = (): JSONWebKeySet => ({ keys: both.keys.filter(({ use }) => use === 'enc') })
  const noKeyNeeded = {
    flow: 'direct',
    trusted_issuers: ['https://bank.example'],
    token_endpoint_auth_method: 'client_secret_basic',
    client_secret: SECRET,
    id_token_encrypted_response_alg: undefined,
  } as const

  beforeAll(async () => {
    both = await generateJwks({ alg: 'ES256', enc: 'RSA-OAEP' })
  })

  test.each<[string, () => JSONWebKeySet, () => JSONWebKeySet]>([
    ['holds keys that decrypt', signing, () => both],
    ['holds no more keys that decrypt', () => both, signing],
    ['holds keys that sign', decrypting, () => both],
    ['holds no more keys that sign', () => both, decrypting],
  ])('does not change with keys: one that %s', async (what, before, after) => {
    let keys = before()
    const own = new Credentials(options({ ...noKeyNeeded, jwks: () => keys }))
    await own.current()
    keys = after()
    await expect(own.reload()).rejects.toMatchObject({
      code: 'config_invalid',
      message: `option "jwks" ${what}, which cannot change while the application runs: restart it`,
    })
    expect(kidsIn(own)).toEqual(kidsOf(before()))
  })

  test('does not change with the object of the options', async () => {
    const given = options({ jwks: () => first })
    const own = new Credentials(given)
    await own.current()
    given.client_id = 'another'
    await own.reload()
    expect((await own.current()).config.client_id).toBe('app')
  })
})

test('where nothing is read from elsewhere there is nothing to reload', async () => {
  await expect(new IDPartner(options({})).reload()).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('there is nothing to reload'),
  })
})

describe('a key to decrypt with that is gone', () => {
  const kind = { code: 'token_invalid', what: 'the ID token', registered: 'id_token' } as const

  const open = async (own: Credentials, { keys }: JSONWebKeySet, named?: string): Promise<string> => {
    const key = keys.find(({ use }) => use === 'enc') ?? {}
    const kid = named ?? String(key.kid)
    const jwe = await new CompactEncrypt(Buffer.from('a.b.c'))
      .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid })
      .encrypt(await importJWK({ ...publicPart(key), kty: 'EC' }, 'ECDH-ES'))
    const { decryption } = (await own.current()).keys
    return (await decryptJwt(jwe, { alg: ['ECDH-ES'], enc: ['A256GCM'], keys: decryption }, kind)).jws
  }

  test('opens what was encrypted to it for a day, and no longer', async () => {
    const own = new Credentials(options({ jwks: put('gone.json', first) }))
    await own.current()
    put('gone.json', second)
    await own.reload()
    expect(await open(own, first)).toBe('a.b.c')
    expect(await open(own, second)).toBe('a.b.c')
    jest.setSystemTime(Date.now() + DAY - 1000)
    expect(await open(own, first)).toBe('a.b.c')
    jest.setSystemTime(Date.now() + 2000)
    await expect(open(own, first)).rejects.toMatchObject({
      code: 'token_invalid',
      message: expect.stringContaining('not ours'),
    })
  })

  test('is gone a day after it went, however often others go', async () => {
    let keys = first
    const own = new Credentials(options({ jwks: () => keys }))
    await own.current()
    keys = second
    await own.reload()
    jest.setSystemTime(Date.now() + DAY / 2)
    keys = await generateJwks({ alg: 'ES256', enc: 'ECDH-ES' })
    await own.reload()
    expect((await own.current()).keys.decryption).toHaveLength(3)
    expect(await open(own, first)).toBe('a.b.c')
    jest.setSystemTime(Date.now() + DAY / 2 + 1000)
    await expect(open(own, first)).rejects.toMatchObject({ code: 'token_invalid' })
    expect(await open(own, second)).toBe('a.b.c')
    jest.setSystemTime(Date.now() + DAY)
    keys = first
    await own.reload()
    expect((await own.current()).keys.decryption).toHaveLength(2)
  })

  test('opens nothing that names another', async () => {
    const own = new Credentials(options({ jwks: put('gone.json', first) }))
    await own.current()
    expect(await open(own, first, 'of an older name')).toBe('a.b.c')
    put('gone.json', second)
    await own.reload()
    await expect(open(own, first, 'of an older name')).rejects.toMatchObject({ code: 'token_invalid' })
  })

  test('is not one that is still there', async () => {
    let keys = first
    const own = new Credentials(options({ jwks: () => keys }))
    await own.current()
    keys = { keys: [...second.keys.filter(({ use }) => use === 'sig'), ...first.keys] }
    await own.reload()
    expect((await own.current()).keys.decryption).toHaveLength(1)
  })

  test('is forgotten where a hundred have gone since', async () => {
    let keys = first
    const own = new Credentials(options({ jwks: () => keys }))
    await own.current()
    for (let times = 0; times < 101; times++) {
      keys = await generateJwks({ alg: 'ES256', enc: 'ECDH-ES' })
      await own.reload()
    }
    expect((await own.current()).keys.decryption).toHaveLength(101)
  })

  test('is kept once, however often it comes and goes', async () => {
    const own = new Credentials(options({ jwks: put('flapping.json', first) }))
    await own.current()
    for (const one of [second, first, second, first, second]) {
      put('flapping.json', one)
      await own.reload()
    }
    const kept = (await own.current()).keys.decryption.map(({ kid }) => kid)
    expect(kept).toEqual([second, first].map(({ keys }) => keys.find(({ use }) => use === 'enc')?.kid))
    expect(await open(own, first)).toBe('a.b.c')
  })

  test('is published no more', async () => {
    const own = new Credentials(options({ jwks: put('gone.json', first) }))
    await own.current()
    put('gone.json', second)
    await own.reload()
    expect(kidsIn(own)).toEqual(kidsOf(second))
  })
})

describe('a client certificate that is read', () => {
  let server: Server
  let url: string
  const waiting: (() => void)[] = []

  beforeAll(async () => {
    const pem = await tlsCertificates()
    server = createServer({ ...pem.server, requestCert: true, rejectUnauthorized: false }, (req, res) => {
      const { subject } = req.socket instanceof TLSSocket ? req.socket.getPeerCertificate() : {}
      const answer = (): void => void res.end((subject as { CN?: string } | undefined)?.CN ?? 'none')
      if (req.url === '/held') waiting.push(answer)
      else answer()
      server.emit('asked')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`
  })

  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  const shown = async (own: Credentials, where = ''): Promise<string> => {
    const { http } = await own.current()
    return (await http.fetch(`${url}${where}`, { what: 'the bank', mutualTls: true })).text()
  }

  const read = async (more: Partial<IDPartnerConfig> = {}): Promise<Credentials> => {
    const { server: ca } = await tlsCertificates()
    return new Credentials(
      options({
        tls_client_cert: put('cert.pem', old.cert),
        tls_client_key: put('key.pem', old.key),
        tls_server_ca: put('ca.pem', ca.cert),
        ...more,
      }),
    )
  }

  test('is shown by the next request, and one on its way keeps the old', async () => {
    const own = await read()
    const asked = once(server, 'asked')
    const held = shown(own, '/held')
    await asked
    put('cert.pem', renewed.cert)
    put('key.pem', renewed.key)
    await own.look()
    expect(await shown(own)).toBe('renewed')
    for (const answer of waiting.splice(0)) answer()
    expect(await held).toBe('old')
    expect(await shown(own)).toBe('renewed')
  })

  test('is used with its key, and not before that is there', async () => {
    const own = await read()
    await own.current()
    put('cert.pem', renewed.cert)
    for (let looks = 0; looks < 3; looks++) await own.look()
    expect(await shown(own)).toBe('old')
    expect(said).toEqual([
      [
        'kept',
        { code: 'config_invalid', message: expect.stringContaining('is not the key of tls_client_cert') },
      ],
    ])
    put('key.pem', renewed.key)
    await own.look()
    expect(await shown(own)).toBe('renewed')
  })

  test('that has expired is not used', async () => {
    const own = await read()
    await own.current()
    const expired = await clientCertificate('expired', -1)
    put('cert.pem', expired.cert)
    put('key.pem', expired.key)
    await expect(own.reload()).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('expired on'),
    })
    expect(await shown(own)).toBe('old')
  })

  test('may be a PKCS#12 file with its passphrase in another', async () => {
    const pack = (pem: Pem): Promise<Buffer> =>
      pkcs12({ keys: [pem.key], certificates: [pem.cert], passphrase: 'passphrase' })
    const own = await read({
      tls_client_cert: undefined,
      tls_client_key: undefined,
      tls_client_pfx: pathToFileURL(at('c.p12')),
      tls_client_passphrase: put('pass.txt', 'passphrase\n'),
      ...(put('c.p12', await pack(old)) && {}),
    })
    expect(await shown(own)).toBe('old')
    put('c.p12', await pack(renewed))
    await own.look()
    expect(await shown(own)).toBe('renewed')
  })

  test('may be a PKCS#12 file that comes later, with a passphrase that is there', async () => {
    const pfx = pkcs12({ keys: [old.key], certificates: [old.cert], passphrase: 'passphrase' })
    const own = await read({
      tls_client_cert: undefined,
      tls_client_key: undefined,
      tls_client_pfx: () => pfx,
      tls_client_passphrase: 'passphrase',
    })
    expect(await shown(own)).toBe('old')
  })

  test('may come from functions that take their time', async () => {
    let pem = old
    const own = await read({
      tls_client_cert: () => Promise.resolve(pem.cert),
      tls_client_key: () => Promise.resolve(pem.key),
    })
    expect(await shown(own)).toBe('old')
    pem = renewed
    await own.reload()
    expect(await shown(own)).toBe('renewed')
  })

  test('may be wiped once it is given, and a renewal of keys still knows it', async () => {
    const [cert, key] = [Buffer.from(old.cert), Buffer.from(old.key)]
    const own = await read({ jwks: put('wiped.json', first), tls_client_cert: cert, tls_client_key: key })
    for (const one of [cert, key]) one.fill(0)
    expect(await shown(own)).toBe('old')
    put('wiped.json', second)
    await own.reload()
    expect(kidsIn(own)).toEqual(kidsOf(second))
    expect(await shown(own)).toBe('old')
  })

  test('may be read into the memory of the one before it, and is not used unless it is good', async () => {
    const [cert, key] = [Buffer.alloc(4000, ' '), Buffer.alloc(4000, ' ')]
    const give = (memory: Buffer, pem: string) => (): Buffer => {
      memory.fill(' ').write(pem)
      return memory
    }
    let given = [old.cert, old.key]
    const own = await read({
      tls_client_cert: () => give(cert, given[0] ?? '')(),
      tls_client_key: () => give(key, given[1] ?? '')(),
    })
    expect(await shown(own)).toBe('old')
    given = [renewed.cert, old.key]
    await expect(own.reload()).rejects.toMatchObject({ code: 'config_invalid' })
    expect(own.latest?.config.tls.cert?.toString().trim()).toBe(old.cert.trim())
    given = [renewed.cert, renewed.key]
    await own.reload()
    expect(await shown(own)).toBe('renewed')
  })

  test('an authority that is trusted no more is not, even over a connection that was kept', async () => {
    const own = await read()
    expect(await shown(own)).toBe('old')
    const { published } = await own.current()
    put('ca.pem', renewed.cert)
    await own.look()
    await expect(shown(own)).rejects.toMatchObject({ code: 'provider_unavailable' })
    // What is published has been fetched under the other authority.
    expect((await own.current()).published).not.toBe(published)
  })

  test('leaves what banks publish where it is', async () => {
    const own = await read({ jwks: put('kept.json', first) })
    const before = await own.current()
    put('cert.pem', renewed.cert)
    put('key.pem', renewed.key)
    await own.look()
    const after = await own.current()
    expect(after.published).toBe(before.published)
    expect(after.banks).toBe(before.banks)
    expect(after.vouchers).toBe(before.vouchers)
    expect(after.http).not.toBe(before.http)
  })

  test('stays in use, with its connections, where only keys change', async () => {
    const own = await read({ jwks: put('kept.json', first) })
    const { http, vouchers } = await own.current()
    put('kept.json', second)
    await own.look()
    expect((await own.current()).http).toBe(http)
    expect((await own.current()).vouchers).not.toBe(vouchers)
  })
})

describe('a certificate that expires', () => {
  test.each([
    [29, 'tls_client_cert'],
    [1, 'tls_client_cert'],
  ])('in %d days is told of at the start and once a day', async (days) => {
    const pem = await clientCertificate('soon', days)
    new Credentials(options({ tls_client_cert: pem.cert, tls_client_key: pem.key }))
    const event = (left: number): unknown => [
      'expiring',
      { option: 'tls_client_cert', expires: expect.stringMatching(/^\d{4}-\d\d-\d\dT/), days: left },
    ]
    expect(said).toEqual([event(days - 1)])
    expect(lines).toEqual([
      [
        'warn',
        expect.stringMatching(
          new RegExp(
            `the certificate of "tls_client_cert" expires in ${String(days - 1)} days, on .*: replace it`,
          ),
        ),
      ],
    ])
    jest.advanceTimersByTime(DAY)
    expect(said).toHaveLength(2)
    jest.advanceTimersByTime(2 * DAY)
    expect(said).toEqual([1, 2, 3, 4].map((day) => event(days - day)))
  })

  test('later is not told of', async () => {
    const pem = await clientCertificate('later', 32)
    new Credentials(options({ tls_client_cert: pem.cert, tls_client_key: pem.key }))
    jest.advanceTimersByTime(DAY)
    expect(said).toEqual([])
    jest.advanceTimersByTime(DAY)
    expect(said).toHaveLength(1)
  })

  test('is told of where it is not the first of its chain', async () => {
    const issuer = await clientCertificate('soon', 10)
    const pem = await clientCertificate('later', 90, issuer)
    new Credentials(options({ tls_client_cert: `${pem.cert}\n${issuer.cert}`, tls_client_key: pem.key }))
    expect(said).toMatchObject([['expiring', { option: 'tls_client_cert', days: 9 }]])
  })

  test.each([
    ['not told of beside one that lasts', [-2, 90], []],
    [
      'told of where it is the last, and has expired',
      [-9, -2],
      [/"tls_server_ca" expired on .*: replace it/],
    ],
  ])('is an authority, and %s', async (_, days, told) => {
    const authorities = await Promise.all(days.map((left) => clientCertificate('authority', left)))
    new Credentials(options({ tls_server_ca: authorities.map(({ cert }) => cert).join('\n') }))
    expect(lines.map(([, line]) => line)).toEqual(told.map((line) => expect.stringMatching(line)))
  })

  test('is told of by the option it came from, an authority too', async () => {
    const pem = await clientCertificate('soon', 10)
    const pfx = await pkcs12({ keys: [pem.key], certificates: [pem.cert], passphrase: 'passphrase' })
    new Credentials(
      options({ tls_client_pfx: pfx, tls_client_passphrase: 'passphrase', tls_server_ca: pem.cert }),
    )
    expect(said.map(([, payload]) => (payload as { option: string }).option)).toEqual([
      'tls_client_pfx',
      'tls_server_ca',
    ])
  })

  test('is told of as soon as it is in use', async () => {
    const pem = await clientCertificate('soon', 10)
    const own = new Credentials(
      options({ tls_client_cert: put('soon.pem', old.cert), tls_client_key: put('soon-key.pem', old.key) }),
    )
    await own.current()
    expect(said).toEqual([])
    put('soon.pem', pem.cert)
    put('soon-key.pem', pem.key)
    await own.look()
    expect(said.map(([name]) => name)).toEqual(['expiring', 'reloaded'])
  })
})
