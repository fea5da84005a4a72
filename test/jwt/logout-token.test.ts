import { beforeAll, describe, expect, test } from '@jest/globals'
import { IDPartnerError } from '../../lib/errors.js'
import type { Decryption } from '../../lib/jwt/encrypted-jwt.js'
import { checkJwks, importKeys } from '../../lib/jwt/keys.js'
import { verifyLogoutToken, type BankLogout, type LogoutTokenExpected } from '../../lib/jwt/logout-token.js'
import type { FindKeys } from '../../lib/jwt/remote-keys.js'
import { fromNow, mint, set, without, type JwtBend } from '../support/bends.js'
import { clientJwks, publicJwk, rsaKey, usual } from '../support/key-pairs.js'
import { publishedKeys } from '../support/published-keys.js'
import { refusal } from '../support/settle.js'

const BANK = 'https://bank.example'
const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

let keys: FindKeys
let decryption: Decryption

beforeAll(async () => {
  keys = publishedKeys(publicJwk(await rsaKey('bank')))
  decryption = usual((await importKeys(checkJwks(await clientJwks()))).decryption)
})

const now = (): number => Math.floor(Date.now() / 1000)

/** A word of the bank, bent at one place. */
async function minted(bend: JwtBend = {}): Promise<string> {
  const claims = {
    iss: BANK,
    aud: 'app',
    iat: now(),
    exp: now() + 120,
    jti: 'one',
    sub: 'me',
    events: { [EVENT]: {} },
  }
  const header = (members: object): object => ({ ...members, typ: 'logout+jwt' })
  return mint(
    { claims, key: await rsaKey('bank'), seal: { alg: 'RSA-OAEP', enc: 'A256CBC-HS512' } },
    {
      unsealed: true,
      ...bend,
      header: (members) => (bend.header ?? ((all) => all))(header(members) as never),
    },
  )
}

const verified = (token: string, change: Partial<LogoutTokenExpected> = {}): Promise<BankLogout> =>
  verifyLogoutToken(token, {
    decryption,
    alg: 'PS256',
    clientId: 'app',
    clockTolerance: 30,
    keysOf: () => Promise.resolve(keys),
    ...change,
  })

const verify = async (bend?: JwtBend, change?: Partial<LogoutTokenExpected>): Promise<BankLogout> =>
  verified(await minted(bend), change)

const WHAT = "the bank's logout token"

describe('a logout token is read', () => {
  test.each<[string, JwtBend, object]>([
    ['of a person', {}, { sub: 'me' }],
    ['of a session', { claims: (all) => ({ ...without('sub')(all), sid: 'two' }) }, { sid: 'two' }],
    ['of both', { claims: set({ sid: 'two' }) }, { sub: 'me', sid: 'two' }],
    ['of one, where the other is null', { claims: set({ sid: null }) }, { sub: 'me' }],
    ['without a type', { header: without('typ') }, { sub: 'me' }],
    ['with its whole type', { header: set({ typ: 'application/logout+jwt' }) }, { sub: 'me' }],
    ['with a type in capitals', { header: set({ typ: 'Logout+JWT' }) }, { sub: 'me' }],
    ['with the type that any JWT may have', { header: set({ typ: 'JWT' }) }, { sub: 'me' }],
    ['with that in small letters', { header: set({ typ: 'jwt' }) }, { sub: 'me' }],
    ['encrypted', { unsealed: false }, { sub: 'me' }],
    ['with more in its event', { claims: set({ events: { [EVENT]: { a: 1 }, other: 1 } }) }, { sub: 'me' }],
    [
      'with names of 255 characters',
      { claims: set({ jti: 'j'.repeat(255), sub: 's'.repeat(255) }) },
      { sub: 's'.repeat(255) },
    ],
    ['ten minutes after it was issued', { claims: fromNow({ iat: -600 }) }, { sub: 'me' }],
  ])('%s', async (_name, bend, expected) => {
    const logout = await verify(bend)
    expect(logout).toMatchObject({ issuer: BANK, ...expected })
    expect(Object.keys(logout)).toEqual(['issuer', ...Object.keys(expected), 'iat', 'jti'])
  })

  test('with when it was issued, and its name', async () => {
    const iat = now() - 5
    expect(await verify({ claims: set({ iat }) })).toEqual({ issuer: BANK, sub: 'me', iat, jti: 'one' })
  })

  test('by the keys of its issuer', async () => {
    const asked: string[] = []
    const keysOf = (issuer: string): Promise<FindKeys> => {
      asked.push(issuer)
      return Promise.resolve(keys)
    }
    await verify({}, { keysOf })
    expect(asked).toEqual([BANK])
  })
})

describe('a logout token is refused where', () => {
  test.each<[string, JwtBend, string]>([
    ['its type is at+jwt', { header: set({ typ: 'at+jwt' }) }, 'has another "typ" in its header'],
    ['its type is xJWT', { header: set({ typ: 'xJWT' }) }, 'has another "typ" in its header'],
    ['its type is JWT2', { header: set({ typ: 'JWT2' }) }, 'has another "typ" in its header'],
    [
      'its type is application/JWT',
      { header: set({ typ: 'application/JWT' }) },
      'has another "typ" in its header',
    ],
    ['its type is that of more', { header: set({ typ: 'xlogout+jwt' }) }, 'has another "typ" in its header'],
    ['its type ends with more', { header: set({ typ: 'logout+jwt;x' }) }, 'has another "typ" in its header'],
    [
      'its type is of another tree',
      { header: set({ typ: 'text/logout+jwt' }) },
      'has another "typ" in its header',
    ],
    ['it has a nonce', { claims: set({ nonce: null }) }, 'has a "nonce", so it is an ID token'],
    ...[
      undefined,
      null,
      [],
      [EVENT],
      EVENT,
      { [`${EVENT}s`]: {} },
      { [EVENT]: null },
      { [EVENT]: 1 },
      { [EVENT]: [] },
    ].map((events): [string, JwtBend, string] => [
      `its events are ${JSON.stringify(events)}`,
      { claims: set({ events }) },
      'has a wrong or missing "events"',
    ]),
    ...(['jti', 'sub', 'sid'] as const).flatMap((name) =>
      ['', 'x'.repeat(256), 7, {}, ['x'], true].map((value): [string, JwtBend, string] => [
        `its ${name} is ${JSON.stringify(value).slice(0, 20)}`,
        { claims: set({ [name]: value }) },
        `has a wrong or missing "${name}"`,
      ]),
    ),
    ...(['exp', 'iat', 'jti', 'iss', 'aud'] as const).map((name): [string, JwtBend, string] => [
      `it has no ${name}`,
      { claims: without(name) },
      `has a wrong or missing "${name}"`,
    ]),
    ['it names nobody', { claims: without('sub') }, 'has neither "sub" nor "sid"'],
    ['it names null', { claims: set({ sub: null, sid: null }) }, 'has neither "sub" nor "sid"'],
    ['it is for another client', { claims: set({ aud: 'another' }) }, 'has a wrong or missing "aud"'],
    ['it is no JWT', { raw: () => 'x' }, 'is malformed'],
  ])('%s', async (_name, bend, why) => {
    const err = await refusal(verify(bend))
    expect(err.code).toBe('token_invalid')
    expect(err.message.startsWith(`${WHAT} ${why}`)).toBe(true)
  })

  test('it was issued long ago, for which it is still good', async () => {
    const claims = fromNow({ iat: -700, exp: 300 })
    expect(await refusal(verify({ claims }))).toMatchObject({ code: 'token_invalid' })
  })

  test('it is longer than 64 KiB, which nobody looks into', async () => {
    const keysOf = (): never => {
      throw new Error('was asked')
    }
    const longest = 64 * 1024
    expect((await refusal(verified('x'.repeat(longest + 1), { keysOf }))).message).toBe(
      `${WHAT} is longer than 64 KiB`,
    )
    expect((await refusal(verified('x'.repeat(longest), { keysOf }))).message).toBe(`${WHAT} is malformed`)
  })

  test('another algorithm or key signed it', async () => {
    const err = await refusal(verify({ header: set({ alg: 'ES256' }) }))
    expect(err.message).toContain('id_token_signed_response_alg')
    for (const bend of [{ header: set({ alg: 'RS256' }) }, { key: () => rsaKey('stranger') }]) {
      expect(await refusal(verify(bend))).toMatchObject({ code: 'token_invalid' })
    }
  })

  test('it is encrypted by a way that was not agreed on', async () => {
    const none = { decryption: { ...decryption, alg: [] } }
    expect(await refusal(verify({ unsealed: false }, none))).toMatchObject({ code: 'token_invalid' })
    await expect(verify({}, none)).resolves.toBeDefined()
  })

  test('its issuer may not be asked, whom it was only said to be from', async () => {
    const cause = new IDPartnerError('provider_refused', 'not trusted')
    expect(await refusal(verify({}, { keysOf: () => Promise.reject(cause) }))).toMatchObject({
      code: 'token_invalid',
      message: `${WHAT} has a wrong or missing "iss": ${BANK} came`,
      cause: { code: 'provider_refused' },
    })
  })

  test.each<[string, Error]>([
    ['is silent', new IDPartnerError('provider_unavailable', 'down')],
    ['makes a mistake of ours', Object.assign(new Error('down'), { code: 'provider_refused' })],
  ])('but for nothing that it says where the bank %s', async (_name, err) => {
    await expect(verify({}, { keysOf: () => Promise.reject(err) })).rejects.toBe(err)
  })
})
