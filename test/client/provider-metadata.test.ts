import { describe, expect, test } from '@jest/globals'
import { usedMetadata } from '../../lib/client/provider-metadata.js'

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
      mtls_endpoint_aliases: { ...ENDPOINTS, branches: mebibyte },
    }
    expect(usedMetadata(document)).toEqual(USED)
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
