import { beforeAll, describe, expect, test } from '@jest/globals'
import { createLocalJWKSet, type JWTVerifyGetKey } from 'jose'
import { checkJwks, importKeys, type ImportedKey } from '../../lib/jwt/keys.js'
import { verifyUserInfo } from '../../lib/jwt/userinfo.js'
import { appended, fromNow, listed, mint, set, without, type JwtBend } from '../support/bends.js'
import { clientJwks, publicJwk, rsaKey } from '../support/key-pairs.js'
import { refusal } from '../support/settle.js'

const BANK = 'https://bank.example'

let keys: JWTVerifyGetKey
let decryption: ImportedKey[]

beforeAll(async () => {
  keys = createLocalJWKSet({ keys: [publicJwk(await rsaKey('bank'))] })
  decryption = (await importKeys(checkJwks(await clientJwks()))).decryption
})

async function verify(bend: JwtBend = {}, own = decryption): Promise<unknown> {
  const claims = { iss: BANK, aud: 'app', sub: 'person', email: 'p@example.com' }
  const seal = { alg: 'RSA-OAEP', enc: 'A256CBC-HS512' }
  const jwt = await mint({ claims, key: await rsaKey('bank'), seal }, bend)
  return verifyUserInfo(jwt, {
    decryption: own,
    keys,
    alg: 'PS256',
    issuer: BANK,
    clientId: 'app',
    clockTolerance: 30,
  })
}

describe('userinfo that is a JWT', () => {
  test.each<[string, JwtBend]>([
    ['signed and encrypted', {}],
    ['signed only, though there is an encryption key', { unsealed: true }],
    ['signed, with a time that is not over', { claims: fromNow({ exp: 60, iat: 0 }) }],
  ])('may be %s', async (_name, bend) => {
    expect(await verify(bend)).toMatchObject({ sub: 'person', email: 'p@example.com' })
  })

  test.each<{ name: string; bend: JwtBend; own?: ImportedKey[]; message: RegExp }>([
    { name: 'its "iss" is another', bend: { claims: appended('iss') }, message: /"iss"/ },
    { name: 'its "iss" is missing', bend: { claims: without('iss') }, message: /"iss"/ },
    { name: 'its "aud" is another', bend: { claims: appended('aud') }, message: /"aud"/ },
    { name: 'its "aud" is missing', bend: { claims: without('aud') }, message: /"aud"/ },
    { name: 'its "iss" is a list', bend: { claims: listed('iss') }, message: /"iss"/ },
    { name: 'its "exp" is over', bend: { claims: fromNow({ exp: -32 }) }, message: /out of date/ },
    { name: 'a stranger signed it', bend: { key: () => rsaKey('stranger') }, message: /does not publish/ },
    { name: 'nobody signed it', bend: { header: set({ alg: 'none' }) }, message: /none, but PS256/ },
    { name: 'it is encrypted, and there is no key', bend: {}, own: [], message: /no key to decrypt/ },
  ])('is refused when $name', async ({ bend, own, message }) => {
    const err = await refusal(verify(bend, own))
    expect(err).toMatchObject({ code: 'token_invalid', status: 502 })
    expect(err.message).toMatch(/^the bank's userinfo /)
    expect(err.message).toMatch(message)
  })
})
