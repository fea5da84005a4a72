import { describe, expect, test } from '@jest/globals'
import { unsupported, usedMetadata, type Need } from '../../lib/client/provider-metadata.js'

const ENDPOINTS = {
  pushed_authorization_request_endpoint: 'https://bank.example/par',
  token_endpoint: 'https://bank.example/token',
  userinfo_endpoint: 'https://bank.example/userinfo',
  revocation_endpoint: 'https://bank.example/revocation',
  payment_details_info_endpoint: 'https://bank.example/payment-details',
  payment_processing_endpoint: 'https://bank.example/payment',
}
const USED = {
  issuer: 'https://bank.example',
  authorization_endpoint: 'https://bank.example/auth',
  jwks_uri: 'https://bank.example/jwks',
  ...ENDPOINTS,
  mtls_endpoint_aliases: ENDPOINTS,
}

describe('of a discovery document', () => {
  test('all that is used is kept, as it is', () => {
    expect(usedMetadata(USED)).toEqual(USED)
  })

  test('of what is supported, what may be needed is kept', () => {
    const document = {
      ...USED,
      response_modes_supported: ['query', 'jwt', 1],
      code_challenge_methods_supported: 'S256',
    }
    expect(usedMetadata(document)).toEqual({ ...USED, response_modes_supported: ['jwt', 'query'] })
  })

  test('nothing else is kept, however much there is of it', () => {
    const mebibyte = Array.from({ length: 65_536 }, (_, i) => String(i).padStart(13, '0'))
    const document = {
      ...USED,
      scopes_supported: mebibyte,
      branches: mebibyte,
      request_object_signing_alg_values_supported: [...mebibyte, 'a\nb', 'x'.repeat(65), 'PS256'],
      mtls_endpoint_aliases: { ...ENDPOINTS, branches: mebibyte },
    }
    expect(usedMetadata(document)).toEqual({
      ...USED,
      request_object_signing_alg_values_supported: ['PS256', ...mebibyte.slice(0, 5)],
    })
  })

  test('the origins of its endpoints are kept, those of the others too, and of nothing else', () => {
    const document = {
      ...USED,
      accounts_endpoint: 'https://api.bank.example/accounts',
      consents_endpoint: 'https://api.bank.example/consents',
      mtls_endpoint_aliases: { ...ENDPOINTS, consents_endpoint: 'https://mtls.bank.example:8443/consents' },
      plain_endpoint: 'http://bank.example/',
      named_endpoint: 'https://user@other.example/',
      listed_endpoint: ['https://listed.example'],
      op_policy_uri: 'https://www.bank.example/policy',
      evil: 'https://evil.example',
    }
    expect(usedMetadata(document).endpoint_origins).toEqual([
      'https://api.bank.example',
      'https://mtls.bank.example:8443',
    ])
    const many = Object.fromEntries(
      Array.from({ length: 50 }, (_, i) => [`a${String(i)}_endpoint`, `https://${String(i)}.example`]),
    )
    expect(usedMetadata({ ...USED, ...many }).endpoint_origins).toHaveLength(20)
  })

  test.each([
    { name: 'a list', value: ['https://bank.example/token'] },
    { name: 'an object', value: { href: 'https://bank.example/token' } },
    { name: 'null', value: null },
    { name: 'a number', value: 1 },
  ])('an endpoint that is $name is as good as none', ({ value }) => {
    const document = {
      issuer: USED.issuer,
      token_endpoint: value,
      mtls_endpoint_aliases: { token_endpoint: value },
    }
    expect(usedMetadata(document)).toEqual({ issuer: USED.issuer, mtls_endpoint_aliases: {} })
  })

  test.each([{ value: null }, { value: 'https://bank.example/token' }, { value: [1] }, { value: 7 }])(
    'aliases that are $value are as good as none',
    ({ value }) => {
      const { mtls_endpoint_aliases } = usedMetadata({
        issuer: USED.issuer,
        mtls_endpoint_aliases: value,
      })
      expect(mtls_endpoint_aliases ?? {}).toEqual({})
    },
  )

  test('a member is not looked for in prototypes', () => {
    const document = Object.create({ token_endpoint: 'https://evil.example' }) as typeof USED
    document.issuer = USED.issuer
    expect(usedMetadata(document)).toEqual({ issuer: USED.issuer })
  })
})

describe('what a provider says it supports', () => {
  const list = 'id_token_signing_alg_values_supported'
  const said = (values: unknown): ReturnType<typeof usedMetadata> =>
    usedMetadata({ issuer: USED.issuer, [list]: values })
  const wanted = (...oneOf: string[]): Need[] => [[list, oneOf]]

  test.each<[string, unknown, string[]]>([
    ['is not said', undefined, ['PS256']],
    ['is no list', 'RS256', ['PS256']],
    ['has what is needed', ['RS256', 'PS256'], ['PS256']],
    ['has one of what is accepted', ['RS256', 'ES256'], ['PS256', 'ES256']],
    ['has it under its other name', ['Ed25519'], ['EdDSA']],
    ['has a name with a plus', ['ECDH-ES+A128KW'], ['ECDH-ES+A128KW']],
  ])('is no objection where it %s', (_name, values, oneOf) => {
    expect(unsupported(said(values), wanted(...oneOf))).toBeUndefined()
  })

  test.each<[unknown, string]>([
    [['RS256', 'ES256'], 'ES256, RS256'],
    [[], 'nothing there'],
    [['PS256x', 'two words', 7, null], 'PS256x'],
  ])('is one where it is %j', (values, there) => {
    expect(unsupported(said(values), wanted('PS256', 'ES384'))).toBe(
      `does not have PS256 or ES384 in ${list} (see the option "id_token_signed_response_alg"); it has ${there}`,
    )
  })

  test('is compared list by list', () => {
    const metadata = usedMetadata({
      issuer: USED.issuer,
      response_modes_supported: ['jwt'],
      code_challenge_methods_supported: ['plain'],
    })
    expect(
      unsupported(metadata, [
        ['response_modes_supported', ['jwt']],
        ['code_challenge_methods_supported', ['S256']],
      ]),
    ).toBe('does not have S256 in code_challenge_methods_supported; it has plain')
  })
})
