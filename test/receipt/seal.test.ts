import { describe, expect, test } from '@jest/globals'
import type { JWK } from 'jose'
import { withLowS } from '../../lib/jwt/low-s.js'
import type { RedactedReceipt } from '../../lib/jwt/receipt.js'
import { verifySeal } from '../../lib/receipt/seal.js'
import { base64url, signJws, type Members } from '../support/jws.js'
import {
  ecKey,
  ed25519Key,
  publicJwk,
  publicKeyAsSecret,
  rsaKey,
  type KeyPair,
} from '../support/key-pairs.js'
import { refusal } from '../support/settle.js'

const ENDED = 1060
const KNOWN = 2000

const statement = { client_id: 'app', ended: ENDED } as RedactedReceipt['statement']
const HEADER = { typ: 'idpartner-receipt+json', kid: 'app', alg: 'EdDSA' }

/** A statement, sealed by hand with whatever header. */
async function sealed(
  header: Members = {},
  key = ed25519Key('app'),
  said: object = statement,
): Promise<RedactedReceipt> {
  const [head = '', , signature = ''] = signJws({ ...HEADER, ...header }, said as Members, await key).split(
    '.',
  )
  return {
    statement,
    seal: `${head}..${String(header['alg']).startsWith('ES') ? withLowS(signature) : signature}`,
  }
}

const published = async (key: Promise<KeyPair>, members: object = {}): Promise<JWK> => ({
  ...publicJwk(await key),
  kid: 'app',
  ...members,
})

const verify = async (receipt: RedactedReceipt, ...keys: Promise<JWK>[]): Promise<void> =>
  verifySeal(receipt, { application: { keys: (await Promise.all(keys)) as never } }, KNOWN)

const mine = (members?: object): Promise<JWK> => published(ed25519Key('app'), members)

const NO_KEY =
  'the receipt was not sealed by any key of "trustAnchors.application" that was good then, or was changed since'

const refused = (message: string): object => ({ code: 'token_invalid', status: 400, message })

describe('a seal holds', () => {
  test.each<[string, () => Promise<KeyPair>]>([
    ['PS256', () => rsaKey('app')],
    ['ES256', () => ecKey('app')],
    ['ES384', () => ecKey('app', 'P-384')],
    ['ES512', () => ecKey('app', 'P-521')],
    ['EdDSA', () => ed25519Key('app')],
  ])('of a key for %s', async (alg, key) => {
    await expect(verify(await sealed({ alg }, key()), published(key()))).resolves.toBeUndefined()
  })

  test('of any of several keys, whose name may have changed', async () => {
    const receipt = await sealed()
    const strangers = [published(ecKey('stranger')), published(rsaKey('stranger'))]
    await expect(
      verify(receipt, ...strangers, published(ed25519Key('stranger')), mine()),
    ).resolves.toBeUndefined()
    await expect(verify(receipt, mine({ kid: undefined }))).resolves.toBeUndefined()
    await expect(verify(await sealed({ kid: undefined }), mine())).resolves.toBeUndefined()
  })

  test.each([{ nbf: ENDED }, { exp: ENDED + 1 }, { revoked: { revoked_at: KNOWN + 1 } }])(
    'of a key that was good when the login ended: %j',
    async (bounds) => {
      await expect(verify(await sealed(), mine(bounds))).resolves.toBeUndefined()
    },
  )
})

describe('a seal is refused where', () => {
  test.each<[string, () => Promise<RedactedReceipt>, () => Promise<JWK>]>([
    ['nobody has its key', () => sealed(), () => published(ed25519Key('stranger'))],
    ['another key is published by its name', () => sealed(), () => published(ecKey('app'))],
    ['it is of another statement', () => sealed({}, undefined, { ...statement, ended: ENDED + 1 }), mine],
    ['its key was not yet good', () => sealed(), () => mine({ nbf: ENDED + 1 })],
    ['its key was good no more', () => sealed(), () => mine({ exp: ENDED })],
    ['its key is known to be stolen', () => sealed(), () => mine({ revoked: { revoked_at: KNOWN } })],
    ['it says that it is of nobody', () => sealed({ alg: 'none' }), mine],
    [
      'it is by a public key as a secret',
      () => sealed({ alg: 'HS256' }, publicKeyAsSecret(rsaKey('app'))),
      () => published(rsaKey('app')),
    ],
    [
      'it is by a way that no key of the application has',
      () => sealed({ alg: 'RS256' }, rsaKey('app')),
      () => published(rsaKey('app')),
    ],
    [
      'it is by another way than its key is for',
      () => sealed({ alg: 'ES256' }, ecKey('app')),
      () => published(ecKey('app'), { alg: 'ES384' }),
    ],
  ])('%s', async (_name, receipt, key) => {
    expect(await refusal(verify(await receipt(), key()))).toMatchObject(refused(NO_KEY))
  })

  test('there is no key', async () => {
    expect(await refusal(verify(await sealed()))).toMatchObject(refused(NO_KEY))
  })

  test('its signature is the other one that is as good', async () => {
    const key = ecKey('app')
    let tried = 0
    while (tried < 3) {
      const [head = '', , signature = ''] = signJws({ ...HEADER, alg: 'ES256' }, statement, await key).split(
        '.',
      )
      if (withLowS(signature) === signature) continue
      tried++
      const receipt = { statement, seal: `${head}..${signature}` }
      expect(await refusal(verify(receipt, published(key)))).toMatchObject(refused(NO_KEY))
      await verify({ statement, seal: `${head}..${withLowS(signature)}` }, published(key))
    }
  })

  test.each<[string, object]>([
    ['it has no type', { typ: undefined }],
    ['its type is another', { typ: 'JWT' }],
    ['its type is almost the right one', { typ: 'idpartner-receipt+jwt' }],
    ['its type has another case', { typ: 'IDPartner-Receipt+JSON' }],
    ['it asks for more', { crit: ['b64'], b64: false }],
    ['it asks for nothing more', { crit: [] }],
  ])('%s', async (_name, header) => {
    expect(await refusal(verify(await sealed(header as Members), mine()))).toMatchObject(
      refused('the receipt has a seal of another kind'),
    )
  })

  test.each<[string, (seal: string) => string]>([
    ['its signature has bits that nobody reads', (seal) => `${seal.slice(0, -1)}${otherBits(seal)}`],
    ['its signature is of another alphabet', (seal) => seal.replace(/\.\../, '..+')],
    ['its signature is filled up', (seal) => `${seal}=`],
    ['its header has bits that nobody reads', (seal) => seal.replace('..', `${otherBits('A')}..`)],
    ['its header is no JSON', (seal) => seal.replace(/^[^.]+/, base64url('{"alg"'))],
    ['its header is a list', (seal) => seal.replace(/^[^.]+/, base64url('[]'))],
    ['its header is a text', (seal) => seal.replace(/^[^.]+/, base64url('"x"'))],
  ])('%s', async (_name, change) => {
    const { seal } = await sealed()
    expect(await refusal(verify({ statement, seal: change(seal) }, mine()))).toMatchObject({
      code: 'token_invalid',
      message: expect.stringMatching(/^the receipt has a (malformed seal|seal of another kind)$/),
    })
  })
})

/** Another last character of the same bytes; those of a signature of 64 leave four bits. */
function otherBits(text: string): string {
  return text.endsWith('A') ? 'B' : String.fromCharCode(text.charCodeAt(text.length - 1) + 1)
}
