import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { IDPartnerError } from '../../lib/errors.js'
import { verifyJarm, type AuthorizationAnswer, type JarmExpected } from '../../lib/jwt/jarm.js'
import { checkJwks, importKeys } from '../../lib/jwt/keys.js'
import type { Decryption } from '../../lib/jwt/encrypted-jwt.js'
import type { FindKeys } from '../../lib/jwt/remote-keys.js'
import { fromNow, mint, set, without, type JwtBend } from '../support/bends.js'
import { clientJwks, publicJwk, rsaKey, usual } from '../support/key-pairs.js'
import { publishedKeys } from '../support/published-keys.js'
import { refusal } from '../support/settle.js'

const BANK = 'https://bank.example'

let keys: FindKeys
let decryption: Decryption

beforeAll(async () => {
  keys = publishedKeys(publicJwk(await rsaKey('bank')))
  decryption = usual((await importKeys(checkJwks(await clientJwks()))).decryption)
})

const keysOf = jest.fn<JarmExpected['keysOf']>()

/** Verifies an answer of the bank, encrypted or not, that is bent at one place. */
async function verify(bend: JwtBend = {}, change: Partial<JarmExpected> = {}): Promise<AuthorizationAnswer> {
  const now = Math.floor(Date.now() / 1000)
  const encrypted = (change.decryption ?? decryption).keys.length > 0
  const seal = { alg: 'RSA-OAEP', enc: 'A256CBC-HS512' }
  const response = await mint(
    {
      claims: { iss: BANK, aud: 'app', exp: now + 300, state: 'state', code: 'code' },
      key: await rsaKey('bank'),
      ...(encrypted && { seal }),
    },
    bend,
  )
  return verifyText(response, change)
}

function verifyText(response: unknown, change: Partial<JarmExpected> = {}): Promise<AuthorizationAnswer> {
  keysOf.mockReset().mockImplementation(() => Promise.resolve(keys))
  return verifyJarm(response, {
    decryption,
    alg: 'PS256',
    clientId: 'app',
    clockTolerance: 30,
    issuer: undefined,
    vouched: false,
    partyOf: (issuer) => `the bank ${new URL(issuer).host}`,
    keysOf,
    ...change,
  })
}

async function expectRefused(call: Promise<unknown>, message: RegExp): Promise<void> {
  const err = await refusal(call)
  expect(err).toMatchObject({ code: 'response_invalid', status: 401 })
  expect(err.message).toMatch(/^(the bank's answer|the answer of the bank bank\.example) /)
  expect(err.message).toMatch(message)
}

const payload = (members: object): JwtBend => ({ claims: (all) => ({ ...without('code')(all), ...members }) })

describe('an answer', () => {
  test.each([true, false])('is a code for a state (encrypted: %j)', async (encrypted) => {
    const answer = await verify({ claims: set({ extra: 1 }) }, encrypted ? {} : { decryption: usual([]) })
    expect(answer).toEqual({ issuer: BANK, state: 'state', outcome: { code: 'code' } })
  })

  test.each([
    ['login_required', 'login_required'],
    ['access_denied', 'access_denied'],
    ['', undefined],
    ['two words', undefined],
    ['forged\nline', undefined],
    ['x'.repeat(65), undefined],
  ])('or an error for a state: %j is passed on as %j', async (error, passed) => {
    const answer = await verify(payload({ error, error_description: 'the bank says so' }))
    const outcome = { error: passed, description: 'the bank says so' }
    expect(answer).toEqual({ issuer: BANK, state: 'state', outcome })
  })

  test.each<[string, object, AuthorizationAnswer['outcome']]>([
    [
      '"error" and its text, beside a code',
      { code: 'c', error: null, error_description: null },
      { code: 'c' },
    ],
    ['"code", beside an error', { code: null, error: 'access_denied' }, { error: 'access_denied' }],
    ['times that it need not have', { code: 'c', iat: null, nbf: null, jti: null }, { code: 'c' }],
  ])('may spell what is absent as null: %s', async (_name, members, outcome) => {
    expect(await verify(payload(members))).toMatchObject({ outcome })
  })

  test('needs no "iat", and may be of a clock that is a little behind', async () => {
    await expect(verify({ claims: fromNow({ exp: -28 }) })).resolves.toBeDefined()
  })

  test.each<[string, object]>([
    ['its "state" is missing', { code: 'code', state: undefined }],
    ['its "state" is missing beside an error', { error: 'access_denied', state: undefined }],
    ['its "state" is empty', { code: 'code', state: '' }],
    ['its "state" is empty beside an error', { error: 'access_denied', state: '' }],
    ['its "state" is a list', { code: 'code', state: ['state'] }],
    ['its "state" is null', { code: 'code', state: null }],
    ['it has no "code" and no "error"', {}],
    ['it has a "code" and an "error"', { code: 'code', error: 'access_denied' }],
    ['its "code" is empty', { code: '' }],
    ['its "code" is a number', { code: 1 }],
    ['its "code" and its "error" are null', { code: null, error: null }],
    ['its "error" is an object', { error: {} }],
  ])('is refused when %s', async (_name, members) => {
    await expectRefused(
      verify(payload(members)),
      / has no "state", or neither or both of "code" and "error"$/,
    )
  })

  test.each<{ name: string; bend?: JwtBend; change?: Partial<JarmExpected>; message: RegExp }>([
    { name: 'it is not encrypted', bend: { unsealed: true }, message: /is not encrypted/ },
    { name: 'its "aud" is another client', bend: { claims: set({ aud: 'app1' }) }, message: /"aud"/ },
    {
      name: 'its "aud" names another client as well',
      bend: { claims: set({ aud: ['app', 'x'] }) },
      message: /for others/,
    },
    { name: 'its "exp" is missing', bend: { claims: without('exp') }, message: /"exp"/ },
    {
      name: 'its "exp" is over',
      bend: { claims: fromNow({ exp: -32 }) },
      message: /out of date by its "exp"/,
    },
    { name: 'a stranger signed it', bend: { key: () => rsaKey('stranger') }, message: /does not publish/ },
    { name: 'its "alg" is none', bend: { header: set({ alg: 'none' }) }, message: /none, but PS256/ },
    {
      name: 'its "alg" is PS256 where ES256 is configured',
      change: { alg: 'ES256' },
      message: /PS256, but ES256/,
    },
  ])('is refused when $name', async ({ bend, change, message }) => {
    await expectRefused(verify(bend, change), message)
  })

  test.each<[string, unknown, RegExp]>([
    ['is missing', undefined, /is missing or longer than 64 KiB$/],
    ['is an object', {}, /is missing or longer than 64 KiB$/],
    ['is longer than 64 KiB', 'x'.repeat(65_537), /is missing or longer than 64 KiB$/],
    ['is no JWT', 'x'.repeat(65_536), /is not encrypted/],
  ])('is refused when it %s', async (_name, response, message) => {
    await expectRefused(verifyText(response), message)
    expect(keysOf).not.toHaveBeenCalled()
  })
})

describe('the keys of an answer', () => {
  test('are asked for once, by the name that stands in it', async () => {
    await verify()
    expect(keysOf.mock.calls).toEqual([[BANK]])
  })

  test.each<[string, JwtBend, RegExp]>([
    ['its "iss" is missing', { claims: without('iss') }, /wrong or missing "iss"/],
    ['its "iss" is a list', { claims: set({ iss: [BANK] }) }, /wrong or missing "iss"/],
    ['its "iss" is a number', { claims: set({ iss: 1 }) }, /wrong or missing "iss"/],
    ['its "iss" is null', { claims: set({ iss: null }) }, /wrong or missing "iss"/],
    ['it is no JSON', { claims: () => 'hello' }, /is malformed/],
    ['it is a list', { claims: () => '[]' }, /is malformed/],
    ['it is null', { claims: () => 'null' }, /is malformed/],
    ['it is no JWT inside', { signed: () => 'e30.e30.e30.e30' }, /is malformed/],
  ])('are not asked for when %s', async (_name, bend, message) => {
    await expectRefused(verify(bend), message)
    expect(keysOf).not.toHaveBeenCalled()
  })

  test('are not asked for when it names another bank than the one it has to be from', async () => {
    await expectRefused(verify({}, { issuer: `${BANK}1` }), /wrong or missing "iss"/)
    expect(keysOf).not.toHaveBeenCalled()
    await expect(verify({}, { issuer: BANK })).resolves.toBeDefined()
  })

  const rejecting = (err: unknown): Partial<JarmExpected> => ({
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- any failure of the callers
    keysOf: () => Promise.reject(err),
  })

  test('of a bank that is not allowed make it a wrong answer, since nobody signed that name yet', async () => {
    const refused = new IDPartnerError('provider_refused', 'not here')
    const err = await refusal(verify({}, rejecting(refused)))
    expect(err).toMatchObject({ code: 'response_invalid', cause: refused })
    expect(err.message).toBe(
      'the bank\'s answer has a wrong or missing "iss": https://bank.example came; not here',
    )
  })

  test('say why a bank is not allowed, and name it once', async () => {
    const refused = new IDPartnerError('provider_refused', `it is ${BANK}, and not ${BANK}/`)
    const { message } = await refusal(verify({}, rejecting(refused)))
    expect(message).toBe(
      'the bank\'s answer has a wrong or missing "iss": it is https://bank.example, and not https://bank.example/',
    )
  })

  test('that cannot be had are the failure', async () => {
    const down = new IDPartnerError('provider_unavailable', 'down')
    expect(await refusal(verify({}, rejecting(down)))).toBe(down)
  })
})

describe('a refusal names the bank by its issuer', () => {
  const stranger = { key: () => rsaKey('stranger') }

  test('once it is one whose keys may be asked for', async () => {
    const { message } = await refusal(verify(stranger))
    expect(message).toMatch(/^the answer of the bank bank\.example is signed with a key/)
  })

  test('from the beginning where IDPartner vouched for it', async () => {
    const { message } = await refusal(verifyText('x', { issuer: BANK, vouched: true }))
    expect(message).toMatch(/^the answer of the bank bank\.example is not encrypted/)
  })

  test.each<[string, JwtBend, Partial<JarmExpected>]>([
    ['nothing but the answer itself names it', { unsealed: true }, {}],
    ['the application alone named it', { unsealed: true }, { issuer: BANK }],
    ['it names another', { claims: set({ iss: 'https://evil.example' }) }, { issuer: BANK }],
  ])('and not where %s', async (_name, bend, change) => {
    expect((await refusal(verify(bend, change))).message).toMatch(/^the bank's answer /)
  })

  test('and what another answer calls itself as what came, in harmless characters', async () => {
    const messageOf = async (iss: string): Promise<string> =>
      (await refusal(verify({ claims: set({ iss }) }, { issuer: BANK, vouched: true }))).message
    expect(await messageOf('https://evil.example')).toBe(
      'the answer of the bank bank.example has a wrong or missing "iss": https://evil.example came, and https://bank.example is wanted',
    )
    expect(await messageOf('https://evil.example/\nforged <b>')).toContain('one that is no plain URL came')
    expect(await messageOf(`https://evil.example/${'x'.repeat(500)}`)).toHaveLength(
      'the answer of the bank bank.example has a wrong or missing "iss":  came, and https://bank.example is wanted'
        .length + 81,
    )
  })
})
