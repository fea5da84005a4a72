import { beforeAll, describe, expect, test } from '@jest/globals'
import { checkJwks, importKeys } from '../../lib/jwt/keys.js'
import type { Decryption } from '../../lib/jwt/encrypted-jwt.js'
import type { FindKeys } from '../../lib/jwt/remote-keys.js'
import { readUserInfo, type UserInfoExpected } from '../../lib/jwt/userinfo.js'
import { appended, fromNow, listed, mint, set, without, type JwtBend } from '../support/bends.js'
import { payloadOf } from '../support/jws.js'
import { clientJwks, ecKey, publicJwk, rsaKey, usual } from '../support/key-pairs.js'
import { publishedKeys } from '../support/published-keys.js'
import { refusal } from '../support/settle.js'

const BANK = 'https://bank.example'

let keys: FindKeys
let decryption: Decryption

beforeAll(async () => {
  keys = publishedKeys(publicJwk(await rsaKey('bank')), publicJwk(await ecKey('bank'), { kid: 'ec' }))
  decryption = usual((await importKeys(checkJwks(await clientJwks()))).decryption)
})

type Change = Partial<UserInfoExpected>

function read(body: string, type: string, change: Change = {}): Promise<unknown> {
  return readUserInfo(new Response(body, { headers: { 'content-type': type } }), {
    what: 'the userinfo of the bank bank.example',
    decryption,
    encrypted: false,
    keys,
    alg: 'PS256',
    signed: false,
    issuer: BANK,
    clientId: 'app',
    clockTolerance: 30,
    ...change,
  })
}

async function readJwt(bend: JwtBend = {}, change: Change = {}, type = 'application/jwt'): Promise<unknown> {
  const claims = { iss: BANK, aud: 'app', sub: 'person', email: 'p@example.com' }
  const seal = { alg: 'RSA-OAEP', enc: 'A256CBC-HS512' }
  return read(await mint({ claims, key: await rsaKey('bank'), seal }, bend), type, change)
}

const readJson = (members: object, change?: Change): Promise<unknown> =>
  read(JSON.stringify({ sub: 'person', email: 'p@example.com', ...members }), 'application/json', change)

async function expectRefused(call: Promise<unknown>, message: RegExp): Promise<void> {
  const err = await refusal(call)
  expect(err).toMatchObject({ code: 'token_invalid', status: 502 })
  expect(err.message).toMatch(/^the userinfo of the bank bank\.example /)
  expect(err.message).toMatch(message)
}

/** Encrypted claims that nobody signed (Core 5.3.2). */
const onlySealed = (members: object = {}, seal: object = {}): JwtBend => ({
  signed: (jws) => JSON.stringify({ ...without('iss', 'aud')(payloadOf(jws)), ...members }),
  seal: (header) => ({ ...header, ...seal }),
})

describe('userinfo that is a JWT', () => {
  test.each<{ name: string; bend?: JwtBend; change?: Change; type?: string }>([
    { name: 'signed and encrypted' },
    { name: 'signed only, though there is an encryption key', bend: { unsealed: true } },
    { name: 'signed, with a time that is not over', bend: { claims: fromNow({ exp: 60, iat: 0 }) } },
    { name: 'signed, with times that are null', bend: { claims: set({ exp: null, iat: null, nbf: null }) } },
    { name: 'signed as is wanted', change: { signed: true } },
    {
      name: 'signed with an algorithm of its own',
      bend: { header: set({ alg: 'ES256', kid: 'ec' }), key: () => ecKey('bank') },
      change: { alg: 'ES256', signed: true },
    },
    { name: 'encrypted only, where no signature is wanted', bend: onlySealed() },
    { name: 'encrypted only, naming its issuer', bend: onlySealed({ iss: BANK }, { iss: BANK, aud: 'app' }) },
    { name: 'of a type in other letters', type: 'Application/JWT' },
    { name: 'of a type with a parameter', type: 'application/jwt; charset=utf-8' },
    { name: 'followed by the end of a line', bend: { raw: (jwt) => `${jwt}\n` } },
  ])('may be $name', async ({ bend, change, type }) => {
    expect(await readJwt(bend, change, type)).toMatchObject({ sub: 'person', email: 'p@example.com' })
  })

  test.each<{ name: string; bend: JwtBend; change?: Change; message: RegExp }>([
    { name: 'its "iss" is another', bend: { claims: appended('iss') }, message: /"iss"/ },
    { name: 'its "iss" is missing', bend: { claims: without('iss') }, message: /"iss"/ },
    { name: 'its "iss" is null', bend: { claims: set({ iss: null }) }, message: /"iss"/ },
    { name: 'its "aud" is another', bend: { claims: appended('aud') }, message: /"aud"/ },
    { name: 'its "aud" is missing', bend: { claims: without('aud') }, message: /"aud"/ },
    { name: 'its "iss" is a list', bend: { claims: listed('iss') }, message: /"iss"/ },
    { name: 'its "sub" is missing', bend: { claims: without('sub') }, message: /"sub"/ },
    { name: 'its "exp" is over', bend: { claims: fromNow({ exp: -32 }) }, message: /out of date/ },
    { name: 'a stranger signed it', bend: { key: () => rsaKey('stranger') }, message: /does not publish/ },
    {
      name: 'nobody signed it',
      bend: { header: set({ alg: 'none' }) },
      message: /none, but PS256 is wanted: register userinfo_signed_response_alg PS256 at the bank/,
    },
    {
      name: 'nobody signed it, and it is not encrypted either',
      bend: { unsealed: true, header: set({ alg: 'none' }) },
      message: /none, but PS256/,
    },
    {
      name: 'its algorithm is that of ID tokens and not its own',
      bend: {},
      change: { alg: 'ES256' },
      message: /PS256, but ES256/,
    },
    {
      name: 'it is encrypted, and there is no key',
      bend: {},
      change: { decryption: usual([]) },
      message: /no key to decrypt/,
    },
    {
      name: 'it is encrypted otherwise',
      bend: { seal: set({ enc: 'A256GCM' }) },
      message: /A256GCM \(to no kid\): register userinfo_encrypted_response_alg RSA-OAEP/,
    },
    {
      name: 'it is encrypted only, and a signature is wanted',
      bend: onlySealed(),
      change: { signed: true },
      message: /is not signed: register userinfo_signed_response_alg/,
    },
    {
      name: 'it is encrypted only and of another issuer',
      bend: onlySealed({ iss: 'https://other.example' }),
      message: /"iss": https:\/\/other.example came, and https:\/\/bank.example is wanted/,
    },
    {
      name: 'it is encrypted only, and its header names another issuer',
      bend: onlySealed({}, { iss: 'https://other.example' }),
      message: /another issuer in its header/,
    },
    {
      name: 'it is encrypted only, and its header names another client',
      bend: onlySealed({}, { aud: 'other' }),
      message: /another audience in its header/,
    },
    { name: 'it is encrypted only and names nobody', bend: onlySealed({ sub: null }), message: /"sub"/ },
    { name: 'it is encrypted and no JSON', bend: { signed: () => '{"sub":' }, message: /is malformed/ },
    { name: 'it is bare JSON', bend: { raw: () => '{"sub":"person"}' }, message: /is malformed/ },
    {
      name: 'it is nested too deeply',
      bend: onlySealed({ deep: JSON.parse(`${'['.repeat(40)}${']'.repeat(40)}`) as unknown }),
      message: /nested too deeply/,
    },
    {
      name: 'a claim is of another type',
      bend: { claims: set({ email: { a: 1 } }) },
      message: /wrong type or length in "email"$/,
    },
  ])('is refused when $name', async ({ bend, change, message }) => {
    await expectRefused(readJwt(bend, change), message)
  })
})

describe('userinfo that is JSON', () => {
  test.each<[string, object]>([
    ['is plain', {}],
    ['names its issuer', { iss: BANK, aud: 'app' }],
    ['names no issuer', { iss: null }],
  ])('is read when it %s', async (_name, members) => {
    expect(await readJson(members)).toMatchObject({ sub: 'person', email: 'p@example.com' })
  })

  test('has booleans where they were spelled as text', async () => {
    expect(await readJson({ email_verified: 'false', age_over_21: 'TRUE' })).toMatchObject({
      email_verified: false,
      age_over_21: true,
    })
  })

  test.each<{ name: string; members: object; change?: Change; message: RegExp }>([
    {
      name: 'a signature is wanted',
      members: {},
      change: { signed: true },
      message: /is not signed: register/,
    },
    { name: 'it is of another issuer', members: { iss: `${BANK}/` }, message: /"iss"/ },
    { name: 'it names nobody', members: { sub: undefined }, message: /"sub"/ },
    { name: 'it names null', members: { sub: null }, message: /"sub"/ },
    { name: 'it names a number', members: { sub: 1 }, message: /"sub"/ },
    { name: 'a claim is of another type', members: { email_verified: 1 }, message: /"email_verified"$/ },
  ])('is refused when $name', async ({ members, change, message }) => {
    await expectRefused(readJson(members, change), message)
  })

  test('is refused when it is nested too deeply', async () => {
    const body = `{"sub":"person","deep":${'['.repeat(5000)}${']'.repeat(5000)}}`
    await expectRefused(read(body, 'application/json'), /nested too deeply/)
  })

  test.each(['[]', 'null', '"a.b.c"', '1'])('is refused when it is no object: %s', async (body) => {
    await expectRefused(read(body, 'application/json'), /is malformed/)
  })
})

test.each([
  ['{"sub":"person"}', 'text/html'],
  ['{"sub":"person"}', ''],
  ['{"sub":', 'application/json'],
  ['a.b.c', 'text/plain'],
])('what is no userinfo is nothing: %s as %j', async (body, type) => {
  expect(await read(body, type)).toBeUndefined()
})
