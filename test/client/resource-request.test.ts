import { describe, expect, test } from '@jest/globals'
import * as v from 'valibot'
import type { ProviderMetadata } from '../../lib/client/provider-metadata.js'
import {
  asksForNonce,
  checkResourceServers,
  checkedRequest,
  hasRunOut,
  resourceServers,
  type CheckedRequest,
  type ResourceRequest,
} from '../../lib/client/resource-request.js'
import { PrivateNetworks } from '../../lib/net/private-networks.js'
import { thrown } from '../support/thrown.js'

const API = 'https://bank.example/accounts'
const POST = { method: 'POST' } as const

const metadata: ProviderMetadata = {
  issuer: 'https://bank.example/tenant',
  endpoint_origins: ['https://api.bank.example'],
}

interface Known {
  target?: unknown
  listed?: readonly string[]
  certificate?: boolean
}

function checked(
  init: ResourceRequest = {},
  { target = API, listed = [], certificate = false }: Known = {},
): CheckedRequest {
  return checkedRequest(target, init, { metadata, listed, certificate })
}

const refusal = (init: object, known?: Known): Error => thrown(() => checked(init, known))

const refused = (message: string | RegExp): object => ({
  code: 'config_invalid',
  message: typeof message === 'string' ? message : expect.stringMatching(message),
})

describe('a call of an API', () => {
  test('is a GET without headers and body where nothing else is said', () => {
    const { url, method, headers, body } = checked()
    expect([url.href, method, [...headers], body]).toEqual([API, 'GET', [], undefined])
  })

  test.each(['https://bank.example/', 'https://api.bank.example/a?b=c', 'https://listed.example/'])(
    'goes to an origin that is named: %s',
    (target) => {
      const listed = ['https://listed.example']
      expect(checked({}, { target, listed }).url.href).toBe(target)
      expect(checked({}, { target: new URL(target), listed }).url.href).toBe(target)
    },
  )

  test('and to the origin of the issuer alone where a bank names no endpoints', () => {
    const known = { metadata: { issuer: 'https://bank.example' }, listed: [], certificate: false }
    expect(checkedRequest(API, {}, known).url.href).toBe(API)
    expect(thrown(() => checkedRequest('https://api.bank.example', {}, known))).toMatchObject(
      refused(/at no origin/),
    )
  })

  test.each(['#', '#a'])('never has a fragment, in a text or a URL: %s', (fragment) => {
    for (const target of [`${API}${fragment}`, new URL(`${API}${fragment}`)]) {
      expect(refusal({}, { target })).toMatchObject(refused('the URL must not have a fragment'))
    }
  })

  test('shows a certificate over TLS, and goes nowhere that it could not', () => {
    const target = 'http://127.0.0.1:4001/'
    const listed = ['http://127.0.0.1:4001']
    expect(checked({}, { target, listed }).url.href).toBe(target)
    expect(refusal({}, { target, listed, certificate: true })).toMatchObject(refused(/tls_client_cert/))
    expect(checked({}, { certificate: true }).url.href).toBe(API)
  })

  test.each(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const)(
    'has a method of these: %s',
    (method) => {
      expect(checked({ method }).method).toBe(method)
    },
  )

  test.each(['', 'OPTIONS', 'TRACE', 'CONNECT', 'post', 'POST '])('and none of others: %j', (method) => {
    expect(refusal({ method })).toMatchObject(
      refused('"method" must be one of GET, HEAD, POST, PUT, PATCH, DELETE'),
    )
  })

  test.each(['GET', 'HEAD'])('has no body with %s, not even an empty one', (method) => {
    for (const body of ['', 'x', new URLSearchParams()]) {
      expect(refusal({ method, body })).toMatchObject(refused(`${method} has no "body"`))
    }
  })

  test.each(['POST', 'PUT', 'PATCH', 'DELETE'] as const)(
    'has the body that it is given with %s',
    (method) => {
      expect(checked({ method, body: '{}' }).body).toBe('{}')
      expect(checked({ method, body: '' }).body).toBe('')
    },
  )

  test.each<[string, unknown]>([
    ['nothing', null],
    ['a number', 1],
    ['an object', {}],
    ['a list', ['x']],
    ['bytes', Buffer.from('x')],
    ['a file', new Blob(['x'])],
  ])('has no body of another kind: %s', (_name, body) => {
    expect(refusal({ ...POST, body })).toMatchObject(refused('"body" must be a text or URLSearchParams'))
  })

  test('has a body of 1 MiB, and of no byte more', () => {
    const most = 'ä'.repeat(512 * 1024)
    expect(checked({ ...POST, body: most }).body).toBe(most)
    expect(refusal({ ...POST, body: `${most}a` })).toMatchObject(refused('"body" must be at most 1 MiB'))
  })

  test('says of a form that it is one, unless the application says what it is', () => {
    const body = new URLSearchParams({ a: 'ä &' })
    const form = checked({ ...POST, body })
    expect([form.body, ...form.headers]).toEqual([
      'a=%C3%A4+%26',
      ['content-type', 'application/x-www-form-urlencoded'],
    ])
    const other = checked({ ...POST, body, headers: { 'Content-Type': 'text/x' } })
    expect([...other.headers]).toEqual([['content-type', 'text/x']])
    expect([...checked({ ...POST, body: 'a=b' }).headers]).toEqual([])
  })
})

const OURS = [
  ...['authorization', 'dpop', 'x-fapi-interaction-id', 'accept-encoding', 'connection', 'content-length'],
  ...['expect', 'host', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
  ...['proxy-authorization', 'proxy-connection', 'proxy-'],
]

describe('the headers of a call', () => {
  test.each(OURS)('never have %s, in whatever letters and form', (name) => {
    const wrong = refused(`the header "${name}" is set by this package alone`)
    for (const one of [name, name.toUpperCase()]) {
      for (const headers of [{ 'x-a': '1', [one]: '' }, [[one, '1']], new Headers([[one, '1']])]) {
        expect(refusal({ headers })).toMatchObject(wrong)
      }
    }
  })

  test.each(['accept', 'x-authorization', 'x-proxy-a', 'proxy', 'tea', 'x-idempotency-key'])(
    'may have others: %s',
    (name) => {
      expect([...checked({ headers: { [name]: '1' } }).headers]).toEqual([[name, '1']])
    },
  )

  test.each<[string, unknown]>([
    ['a name with a space', { 'a b': '1' }],
    ['an empty name', { '': '1' }],
    ['a value with a line end', { a: '1\n2' }],
    ['a value outside of Latin 1', { a: '€' }],
    ['half a pair', [['a']]],
    ['a number', 1],
  ])('are refused without a word of them: %s', (_name, headers) => {
    const err = thrown(() => checked({ headers: headers as never }))
    expect([err.code, err.message, err.cause]).toEqual([
      'config_invalid',
      '"headers" hold what is no header',
      undefined,
    ])
  })
})

const answer = (status: number, challenge?: string): Response =>
  new Response(null, { status, headers: challenge === undefined ? {} : { 'www-authenticate': challenge } })

test.each<[boolean, number, string | undefined]>([
  [true, 401, 'Bearer error="invalid_token"'],
  [true, 401, 'DPoP algs="ES256", error=invalid_token, x="y"'],
  [true, 401, 'bearer ERROR="INVALID_TOKEN"'],
  [false, 401, undefined],
  [false, 401, 'Bearer'],
  [false, 401, 'Bearer invalid_token'],
  [false, 401, 'Bearer error="invalid_request"'],
  [false, 401, 'Bearer error="invalid_tokens"'],
  [false, 401, 'Bearer myerror="invalid_token"'],
  [false, 401, 'Bearer error=""invalid_token"'],
  [false, 400, 'Bearer error="invalid_token"'],
  [false, 403, 'Bearer error="invalid_token"'],
  [false, 200, 'Bearer error="invalid_token"'],
])('that a token has run out, %s: %d %s', (expected, status, challenge) => {
  expect(hasRunOut(answer(status, challenge))).toBe(expected)
})

test.each<[boolean, number, string | undefined]>([
  [true, 401, undefined],
  [true, 401, 'DPoP error="use_dpop_nonce"'],
  [true, 400, 'DPoP error="use_dpop_nonce"'],
  [false, 400, undefined],
  [false, 400, 'DPoP error="invalid_dpop_proof"'],
  [false, 400, 'DPoP error="reuse_dpop_nonce"'],
  [false, 400, 'DPoP error="use_dpop_nonces"'],
  [false, 403, 'DPoP error="use_dpop_nonce"'],
  [false, 200, 'DPoP error="use_dpop_nonce"'],
])('that a proof needs a nonce, %s: %d %s', (expected, status, challenge) => {
  expect(asksForNonce(answer(status, challenge))).toBe(expected)
})

describe('the option resource_servers', () => {
  const ALONE = 'must hold origins alone, such as "https://api.bank.example"'

  test('has origins, with or without the slash that follows them', () => {
    const list = ['https://api.bank.example', 'https://other.example:8443/', 'http://127.0.0.1:4001']
    expect(v.parse(resourceServers, list)).toEqual([
      'https://api.bank.example',
      'https://other.example:8443',
      'http://127.0.0.1:4001',
    ])
  })

  test.each<[unknown, string]>([
    ['https://api.bank.example', 'must be a list of origins'],
    [{}, 'must be a list of origins'],
    [[1], 'must be a list of origins'],
    [['https://*.example'], ALONE],
    [['https://api.bank.example/a'], ALONE],
    [['https://api.bank.example?'], ALONE],
    [['https://api.bank.example/?a'], ALONE],
    [['HTTPS://api.bank.example'], ALONE],
    [['https://api.bank.example:443'], ALONE],
    [['https://good.example', 'api.bank.example'], ALONE],
  ])('and nothing else: %j', (given, message) => {
    expect(v.safeParse(resourceServers, given)).toMatchObject({ issues: [{ message }] })
  })

  test('has a private address only where its network is open', () => {
    const origins = ['https://api.bank.example', 'https://10.1.0.1']
    expect(
      thrown(() => {
        checkResourceServers(origins, new PrivateNetworks())
      }),
    ).toMatchObject(refused(/^option "resource_servers" must not hold private addresses/))
    expect(() => {
      checkResourceServers(origins, new PrivateNetworks(['10.1.0.0/16']))
    }).not.toThrow()
  })
})
