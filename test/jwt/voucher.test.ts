import { SignJWT, type JWK } from 'jose'
import { describe, expect, test } from '@jest/globals'
import { checkJwks, generateJwks, importKeys, type ClientKeys } from '../../lib/jwt/keys.js'
import { Vouchers, readVoucher, signVoucher } from '../../lib/jwt/voucher.js'
import { clientJwks, ecKey } from '../support/key-pairs.js'

const BANK = 'https://bank.example'
const TYPE = 'idpartner-voucher+jwt'

const keysOf = async (name?: string): Promise<ClientKeys> => importKeys(checkJwks(await clientJwks(name)))

const voucherOf = async (keys: ClientKeys, client = 'app'): Promise<string> =>
  (await signVoucher(BANK, client, keys)) ?? ''

/** One that is signed with the application's own key, as all else that it signs. */
const signed = async (
  { signing: [signing] }: ClientKeys,
  claims: Record<string, unknown>,
  typ = TYPE,
): Promise<string> => {
  if (!signing?.key) throw new Error('no key')
  return new SignJWT({ iss: 'app', aud: 'app', sub: BANK, ...claims })
    .setProtectedHeader({ alg: 'PS256', typ, kid: signing.kid })
    .sign(signing.key)
}

const signingEc = async (): Promise<JWK> => ({
  ...(await ecKey('voucher')).privateKey.export({ format: 'jwk' }),
  use: 'sig',
})

describe('a voucher', () => {
  test('names its bank to whoever has the same keys', async () => {
    const keys = await keysOf()
    expect(await readVoucher(await voucherOf(keys), 'app', await keysOf())).toBe(BANK)
  })

  test('may be signed with ES256', async () => {
    const keys = await importKeys(checkJwks({ keys: [await signingEc()] }))
    expect(await readVoucher(await voucherOf(keys), 'app', keys)).toBe(BANK)
  })

  test('holds as long as the key that signed it is listed', async () => {
    const old = await clientJwks()
    const { keys } = await generateJwks()
    const rotated = await importKeys(checkJwks({ keys: [...keys, ...old.keys] }))
    const voucher = await voucherOf(await keysOf())
    expect(await readVoucher(voucher, 'app', rotated)).toBe(BANK)
    expect(await readVoucher(voucher, 'app', await importKeys(checkJwks({ keys })))).toBeUndefined()
  })

  test('is signed once for each bank', async () => {
    const keys = await keysOf()
    const vouchers = new Vouchers('app')
    const [first, again] = [await vouchers.of(BANK, keys), await vouchers.of(BANK, keys)]
    const other = await vouchers.of('https://other.example', keys)
    expect(again).toBe(first)
    expect(await readVoucher(first ?? '', 'app', keys)).toBe(BANK)
    expect(await readVoucher(other ?? '', 'app', keys)).toBe('https://other.example')
  })

  test('of the oldest of a thousand banks is signed anew', async () => {
    const keys = await importKeys(checkJwks({ keys: [await signingEc()] }))
    const vouchers = new Vouchers('app')
    const first = await vouchers.of(BANK, keys)
    for (let i = 0; i < 1000; i++) await vouchers.of(`https://bank${String(i)}.example`, keys)
    expect(await vouchers.of(BANK, keys)).not.toBe(first)
  })

  test('is not made without a key', async () => {
    expect(await signVoucher(BANK, 'app', { signing: [] })).toBeUndefined()
  })

  test.each<[string, (keys: ClientKeys) => Promise<string>]>([
    ['a text', () => Promise.resolve('voucher')],
    ['of a stranger', async () => voucherOf(await keysOf('stranger'))],
    ['of another application with the same key', (keys) => voucherOf(keys, 'other')],
    ['for others', (keys) => signed(keys, { aud: BANK })],
    ['a client assertion', (keys) => signed(keys, { sub: 'app', aud: BANK }, 'JWT')],
    ['of another type', (keys) => signed(keys, {}, 'oauth-authz-req+jwt')],
    [
      'unsigned',
      async (keys) => {
        const [, payload = ''] = (await voucherOf(keys)).split('.')
        const header = Buffer.from(JSON.stringify({ alg: 'none', typ: TYPE })).toString('base64url')
        return `${header}.${payload}.`
      },
    ],
    [
      'for another bank than was signed',
      async (keys) => {
        const [header = '', payload = '', signature = ''] = (await voucherOf(keys)).split('.')
        const claims = Buffer.from(payload, 'base64url').toString().replace('bank', 'evil')
        return [header, Buffer.from(claims).toString('base64url'), signature].join('.')
      },
    ],
  ])('says nothing when it is %s', async (_name, make) => {
    const keys = await keysOf()
    expect(await readVoucher(await make(keys), 'app', keys)).toBeUndefined()
  })
})
