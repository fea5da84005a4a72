import { beforeAll, describe, expect, test } from '@jest/globals'
import type { JSONWebKeySet } from 'jose'
import { resolveConfig } from '../../lib/client/resolve-config.js'
import { decryptionOf } from '../../lib/client/encryption.js'
import { checkJwks, generateJwks, importKeys } from '../../lib/jwt/keys.js'
import { clientJwks } from '../support/key-pairs.js'
import { thrown } from '../support/thrown.js'

let rsa: JSONWebKeySet
let elliptic: JSONWebKeySet

beforeAll(async () => {
  rsa = await clientJwks()
  elliptic = await generateJwks({ alg: 'ES256', enc: 'ECDH-ES+A256KW' })
})

const resolve = (options: object, jwks = rsa): ReturnType<typeof resolveConfig>['encryption'] =>
  resolveConfig({ client_id: 'app', callback: 'https://app.example/cb', jwks, ...options }).encryption

const USUAL = { alg: ['RSA-OAEP'], enc: ['A256CBC-HS512'], asked: false }
const NONE = { alg: [], enc: [], asked: false }

describe('what is encrypted', () => {
  test("is, without an option, what IDPartner's banks encrypt, in their way", () => {
    expect(resolve({})).toEqual({ authorization: USUAL, id_token: USUAL, userinfo: USUAL })
  })

  test('is, with any option, exactly what is named', () => {
    expect(
      resolve({ userinfo_encrypted_response_alg: 'RSA-OAEP', userinfo_encrypted_response_enc: 'A256GCM' }),
    ).toEqual({
      authorization: NONE,
      id_token: NONE,
      userinfo: { alg: ['RSA-OAEP'], enc: ['A256GCM'], asked: true },
    })
  })

  test('may be a list of ways, and different for each kind', () => {
    const options = {
      id_token_encrypted_response_alg: ['ECDH-ES+A128KW', 'ECDH-ES+A256KW'],
      id_token_encrypted_response_enc: 'A256CBC-HS512',
      userinfo_encrypted_response_alg: 'ECDH-ES+A256KW',
      userinfo_encrypted_response_enc: ['A256GCM', 'A128GCM'],
    }
    expect(resolve(options, elliptic)).toEqual({
      authorization: NONE,
      id_token: { alg: ['ECDH-ES+A128KW', 'ECDH-ES+A256KW'], enc: ['A256CBC-HS512'], asked: true },
      userinfo: { alg: ['ECDH-ES+A256KW'], enc: ['A256GCM', 'A128GCM'], asked: true },
    })
  })

  test('is opened with the keys there are, and what is not encrypted with none', async () => {
    const keys = await importKeys(checkJwks(rsa))
    expect(decryptionOf(USUAL as never, keys).keys).toBe(keys.decryption)
    expect(decryptionOf(NONE, keys).keys).toEqual([])
  })
})

describe('the options are refused when', () => {
  test.each<[string, object, RegExp, (() => JSONWebKeySet)?]>([
    [
      'an "enc" has no "alg" beside it',
      { id_token_encrypted_response_enc: 'A256GCM' },
      /^option "id_token_encrypted_response_enc" needs id_token_encrypted_response_alg/,
    ],
    [
      'they are unknown',
      { id_token_encrypted_response_alg: 'RSA1_5' },
      /^option "id_token_encrypted_response_alg" must be one of RSA-OAEP, .*, or a list of these$/,
    ],
    [
      'one of a list is unknown',
      { id_token_encrypted_response_alg: ['RSA-OAEP', 'dir'] },
      /^option "id_token_encrypted_response_alg" must be one of /,
    ],
    [
      'a list is empty',
      { userinfo_encrypted_response_alg: [] },
      /^option "userinfo_encrypted_response_alg" must be one of /,
    ],
    [
      'an "enc" is unknown',
      { id_token_encrypted_response_alg: 'RSA-OAEP', id_token_encrypted_response_enc: 'A192GCM' },
      /^option "id_token_encrypted_response_enc" must be one of A128GCM, /,
    ],
    [
      'no key fits',
      { id_token_encrypted_response_alg: 'ECDH-ES' },
      /^option "id_token_encrypted_response_alg" needs an encryption key in "jwks" whose "alg" it names$/,
    ],
    [
      'a key is for something else than is usual',
      {},
      /^option "jwks" holds an encryption key for ECDH-ES\+A256KW, which nothing may be encrypted with/,
      () => elliptic,
    ],
    [
      'requests are to be signed with what no key is for',
      { request_object_signing_alg: 'ES256' },
      /^option "request_object_signing_alg" is ES256, and "jwks" holds no signing key for it$/,
    ],
    [
      'assertions are to be signed with what no key is for',
      { token_endpoint_auth_signing_alg: 'EdDSA' },
      /^option "token_endpoint_auth_signing_alg" is EdDSA, and "jwks" holds no/,
    ],
  ])('%s', (_name, options, message, jwks = () => rsa) => {
    const err = thrown(() => resolve(options, jwks()))
    expect(err).toMatchObject({ code: 'config_invalid', status: 500 })
    expect(err.message).toMatch(message)
  })
})
