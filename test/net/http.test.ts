import dns from 'node:dns'
import { getEventListeners } from 'node:events'
import type { ServerOptions } from 'node:https'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { isLoopback, isPrivateAddress } from '../../lib/net/addresses.js'
import { Http, joinUrl, parseEndpoint, type HttpRequest } from '../../lib/net/http.js'
import { tlsCertificates } from '../support/certificates.js'
import {
  brokenOff,
  drip,
  hang,
  hangInBody,
  huge,
  late,
  redirect,
  reset,
  type Fault,
} from '../support/faults.js'
import { Wire, startServer, unusedOrigin, type Running } from '../support/loopback-server.js'
import { refusal } from '../support/settle.js'

/** Much longer than anything here takes, however busy the machine is. */
const AMPLE = 20_000
/** For what never answers. */
const SHORT = 100
/** For a first try that is in vain and a second one that is not. */
const LONGER = 1500

let wire: Wire
let servers: Running[] = []

beforeEach(() => {
  wire = new Wire()
})

afterEach(async () => {
  jest.restoreAllMocks()
  await Promise.all(servers.map((server) => server.close()))
  servers = []
})

async function serve(options: { host?: string; tls?: ServerOptions } = {}): Promise<string> {
  const server = await startServer(
    'bank',
    {
      'thing /thing': ({ body }) => ({
        status: 200,
        headers: { 'content-type': 'text/plain', 'x-thing': 'yes' },
        body: `thing ${body}`,
      }),
    },
    wire,
    options,
  )
  servers.push(server)
  return `${server.origin}/thing`
}

const http = (timeout = AMPLE): Http => new Http({ timeout })

/** Whom the requests here ask for what. */
const what = 'the thing of the bank'

/** Makes every name resolve to these addresses. */
function resolving(...addresses: string[]): void {
  jest.spyOn(dns, 'lookup').mockImplementation(((
    _name: string,
    _options: unknown,
    callback: (err: null, found: dns.LookupAddress[]) => void,
  ) => {
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )
  }) as unknown as typeof dns.lookup)
}

describe('a request', () => {
  test('brings the whole answer: status, headers and body', async () => {
    const response = await http().fetch(await serve(), { what })
    expect(response.status).toBe(200)
    expect(response.headers.get('x-thing')).toBe('yes')
    await expect(response.text()).resolves.toBe('thing ')
  })

  test.each<[string, Partial<HttpRequest>, string]>([
    ['a text', { method: 'POST', body: 'text' }, 'text'],
    ['a form', { method: 'POST', body: new URLSearchParams({ a: 'b c' }) }, 'a=b+c'],
    ['nothing', { method: 'POST', body: null }, ''],
  ])('sends %s', async (_name, init, body) => {
    await http().fetch(await serve(), { ...init, what, headers: { 'x-header': 'value' } })
    expect(wire.requests).toEqual([expect.objectContaining({ method: 'POST', body })])
    expect(wire.requests[0]?.headers['x-header']).toBe('value')
  })

  test.each([400, 401, 404, 429, 500, 503])('does not judge HTTP %d', async (status) => {
    const url = await serve()
    wire.plan('bank.thing', (res) => res.writeHead(status).end('text'), 1)
    const response = await http().fetch(url, { what })
    expect(response.status).toBe(status)
    await expect(response.text()).resolves.toBe('text')
  })

  test.each([204, 205, 304])('can be answered without a body: HTTP %d', async (status) => {
    const url = await serve()
    wire.plan('bank.thing', (res) => res.writeHead(status).end(), 1)
    expect((await http().fetch(url, { what })).status).toBe(status)
  })

  test('keeps headers that come several times', async () => {
    const url = await serve()
    wire.plan('bank.thing', (res) => res.writeHead(200, { 'www-authenticate': ['Basic', 'Bearer'] }).end(), 1)
    expect((await http().fetch(url, { what })).headers.get('www-authenticate')).toBe('Basic, Bearer')
  })

  test.each([301, 302, 303, 307, 308])('is not led elsewhere by HTTP %d', async (status) => {
    const url = await serve()
    wire.plan('bank.thing', redirect(`${url}?elsewhere`, status), 1)
    expect((await http().fetch(url, { what })).status).toBe(status)
    expect(wire.requests).toHaveLength(1)
  })

  test('is fetched with the body of up to 1 MiB, and no more', async () => {
    const url = await serve()
    const sized =
      (size: number): Fault =>
      (res) =>
        res.end('x'.repeat(size))
    wire.plan('bank.thing', sized(1024 * 1024), 1)
    await expect(http().fetch(url, { what })).resolves.toHaveProperty('status', 200)
    wire.plan('bank.thing', sized(1024 * 1024 + 1), 1)
    expect(await refusal(http().fetch(url, { what }))).toMatchObject({
      code: 'provider_unavailable',
      status: 502,
      message: expect.stringMatching(/^the thing of the bank answered with more than 1 MiB$/),
    })
  })
})

describe('a request ends in provider_unavailable when the server', () => {
  const tooLate = { timeout: SHORT, status: 504, message: /gave no whole answer in time .*"timeout"/ }
  const broken = { status: 502, message: /broke the connection off|could not be reached/ }

  test.each<{ name: string; fault: Fault; timeout?: number; status: number; message: RegExp }>([
    { name: 'says nothing', fault: hang, ...tooLate },
    { name: 'stops in the body', fault: hangInBody, ...tooLate },
    { name: 'never gets to the end', fault: drip, ...tooLate },
    { name: 'sends headers slowly', fault: slowHeaders, ...tooLate },
    { name: 'answers later than that', fault: late(SHORT * 5), ...tooLate },
    {
      name: 'resets the connection',
      fault: reset,
      ...broken,
      message: /broke the connection off \(ECONNRESET\); .* check tls_client_cert/,
    },
    { name: 'closes it without an answer', fault: (res) => res.socket?.end(), ...broken },
    { name: 'closes it before all was sent', fault: brokenOff, ...broken },
    { name: 'speaks another protocol', fault: (res) => res.socket?.end('SSH-2.0\r\n\r\n'), ...broken },
    { name: 'makes a status up', fault: (res) => res.writeHead(999).end(), ...broken },
    { name: 'sends 10 MB', fault: huge, status: 502, message: /more than 1 MiB/ },
  ])('$name', async ({ fault, timeout, status, message }) => {
    const url = await serve()
    wire.plan('bank.thing', fault, Infinity)
    const err = await refusal(http(timeout).fetch(`${url}?token=secret-token`, { what }))
    expect(err).toMatchObject({ code: 'provider_unavailable', status })
    expect(err.message).toMatch(message)
    expect(err.message).toMatch(/^the thing of the bank /)
    expect(err.message).not.toContain('127.0.0.1')
  })

  test('is not there', async () => {
    const err = await refusal(http().fetch(`${await unusedOrigin()}/thing`, { what }))
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 502 })
    expect(err.message).toMatch(/could not be reached \(ECONNREFUSED\)/)
    expect(err.cause).toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('has a name that nobody knows', async () => {
    jest.spyOn(dns, 'lookup').mockImplementation(((
      _name: string,
      _options: unknown,
      callback: (err: Error) => void,
    ) => {
      callback(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }))
    }) as unknown as typeof dns.lookup)
    const err = await refusal(http().fetch('https://bank.example/thing', { what }))
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 502 })
    expect(err.message).toBe('the thing of the bank could not be reached (ENOTFOUND)')
  })

  test('has a name whose resolving takes too long', async () => {
    jest.spyOn(dns, 'lookup').mockImplementation(() => undefined)
    const err = await refusal(http(SHORT).fetch('https://bank.example/thing', { what }))
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 504 })
    expect(err.message).toMatch(/in time/)
  })
})

describe('a message', () => {
  const bank = `the thing of the bank ${'x'.repeat(200_000)}.example`

  test.each<{ name: string; request: () => Promise<Response> }>([
    { name: 'whose address is none', request: () => http().fetch('/thing', { what: bank }) },
    { name: 'whose address is private', request: () => http().fetch('https://10.0.0.1/', { what: bank }) },
    {
      name: 'that breaks off',
      request: async () => {
        const url = await serve()
        wire.plan('bank.thing', reset, 1)
        return http().fetch(url, { what: bank })
      },
    },
  ])('about a party $name has 300 characters at most, whatever its name', async ({ request }) => {
    const { message } = await refusal(request())
    expect(message).toMatch(/^the thing of the bank x+… \w+/)
    expect(message.length).toBeLessThanOrEqual(300)
  })
})

describe("the caller's signal", () => {
  test('ends a request before its time', async () => {
    const url = await serve()
    wire.plan('bank.thing', hang, Infinity)
    const controller = new AbortController()
    const fetching = refusal(http(60_000).fetch(url, { what, signal: controller.signal }))
    controller.abort()
    expect(await fetching).toMatchObject({ code: 'provider_unavailable', status: 504 })
  })

  test('is let go of when the request has ended', async () => {
    const url = await serve()
    const { signal } = new AbortController()
    await http().fetch(url, { what, signal })
    await http()
      .fetch(`${await unusedOrigin()}/`, { what, signal })
      .catch(() => undefined)
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('that has ended lets none begin', async () => {
    const url = await serve()
    const err = await refusal(http().fetch(url, { what, signal: AbortSignal.abort() }))
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 504 })
    expect(wire.requests).toEqual([])
  })
})

describe('no request leaves for', () => {
  test.each([
    ['a text that is no URL', 'bank'],
    ['a path', '/thing'],
    ['http', 'http://bank.example/thing'],
    ['another scheme', 'ftp://bank.example/thing'],
    ['a file', 'file:///etc/passwd'],
    ['a data URL', 'data:text/plain,x'],
    ['a URL with credentials', 'https://user:password@bank.example/thing'],
    ['a private address over http', 'http://10.0.0.1/thing'],
    ['every address of this machine', 'http://0.0.0.0/thing'],
  ])('%s', async (_name, target) => {
    const lookup = jest.spyOn(dns, 'lookup')
    const err = await refusal(http().fetch(target, { what }))
    expect(err).toMatchObject({
      code: 'provider_unavailable',
      status: 502,
      message: 'the thing of the bank has an address that is not an https: URL',
    })
    expect(lookup).not.toHaveBeenCalled()
  })

  test.each([
    'https://10.0.0.1/',
    'https://172.16.0.1/',
    'https://172.31.255.255/',
    'https://192.168.1.1/',
    'https://169.254.169.254/latest/meta-data/',
    'https://100.64.0.1/',
    'https://0.0.0.0/',
    'https://224.0.0.1/',
    'https://240.0.0.1/',
    'https://255.255.255.255/',
    'https://192.0.2.1/',
    'https://198.18.0.1/',
    'https://0x0a000001/',
    'https://167772161/',
    'https://012.0.0.1/',
    'https://10.1/',
    'https://[::]/',
    'https://[fd00::1]/',
    'https://[fe80::1]/',
    'https://[ff02::1]/',
    'https://[2001:db8::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://[::ffff:169.254.169.254]/',
    'https://[::ffff:a00:1]/',
    'https://[64:ff9b::a00:1]/',
    'https://[2002:a00:1::]/',
  ])('a private address: %s', async (target) => {
    expect(isPrivateAddress(new URL(target))).toBe(true)
    const err = await refusal(http().fetch(target, { what }))
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 502 })
    expect(err.message).toMatch(
      /has a private address, which is refused \(see the option "private_networks"\)$/,
    )
  })

  test.each([
    ['10.0.0.1'],
    ['127.0.0.1'],
    ['169.254.169.254'],
    ['100.64.0.1'],
    ['0.0.0.0'],
    ['::1'],
    ['fd00::1'],
    ['::ffff:10.0.0.1'],
    ['fe80::1'],
    ['93.184.215.14', '10.0.0.1'],
  ])('a name that resolves to %s %s', async (...addresses) => {
    resolving(...addresses.filter((address) => typeof address === 'string'))
    const err = await refusal(http().fetch('https://bank.example/thing', { what }))
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 502 })
    expect(err.message).toBe(
      'the thing of the bank resolves to a private address, which is refused (see the option "private_networks")',
    )
  })

  test('a name that resolves to one private address, as where Node is told not to try several', async () => {
    jest.spyOn(dns, 'lookup').mockImplementation(((
      _name: string,
      _options: unknown,
      callback: (err: null, address: string, family: number) => void,
    ) => {
      callback(null, '10.0.0.1', 4)
    }) as unknown as typeof dns.lookup)
    expect(await refusal(http().fetch('https://bank.example/thing', { what }))).toMatchObject({
      message: expect.stringMatching(/resolves to a private address/),
    })
  })

  test('a name that resolves to a private address when it is asked for again', async () => {
    const url = new URL(await serve())
    const client = http()
    url.hostname = 'localhost'
    resolving('127.0.0.1')
    await client.fetch(url, { what })
    await Promise.all(servers.map((server) => server.close()))
    servers = []
    resolving('10.0.0.1')
    expect(await refusal(client.fetch(url, { what }))).toMatchObject({
      message: expect.stringMatching(/resolves to a private address/),
    })
  })

  test.each(['https://localhost./', 'https://localhost.example/', 'https://xlocalhost/'])(
    'a name of this machine that is not localhost: %s',
    async (target) => {
      resolving('127.0.0.1')
      expect(await refusal(http().fetch(target, { what }))).toMatchObject({
        message: expect.stringMatching(/resolves to a private address/),
      })
    },
  )
})

describe('an address of this machine', () => {
  test.each(['127.0.0.1', 'localhost'])('may be asked when it is configured: %s', async (host) => {
    await expect(http().fetch(await serve({ host }), { what })).resolves.toHaveProperty('status', 200)
  })

  test('may be asked when a party on this machine names it', async () => {
    const url = await serve()
    await expect(http().fetch(url, { what, namedBy: 'http://localhost:1' })).resolves.toHaveProperty(
      'status',
      200,
    )
  })

  test.each(['https://bank.example', 'https://10.0.0.1', 'http://bank.example', 'nobody'])(
    'is not asked when another party names it: %s',
    async (namedBy) => {
      const err = await refusal(http().fetch(await serve(), { what, namedBy }))
      expect(err).toMatchObject({ code: 'provider_unavailable', status: 502 })
      expect(err.message).toMatch(/has an address of this machine, which is refused$/)
      expect(wire.requests).toEqual([])
    },
  )

  test.each(['https://[::1]/', 'https://127.1.2.3/', 'https://2130706433/', 'https://[::ffff:127.0.0.1]/'])(
    'is known however it is spelled: %s',
    async (target) => {
      expect(isLoopback(new URL(target))).toBe(true)
      const err = await refusal(http().fetch(target, { what, namedBy: 'https://bank.example' }))
      expect(err.message).toMatch(/has an address of this machine/)
    },
  )

  test('is none when localhost resolves elsewhere', async () => {
    const url = new URL(await serve({ host: 'localhost' }))
    resolving('10.0.0.1')
    expect(await refusal(http().fetch(url, { what }))).toMatchObject({
      message: expect.stringMatching(/resolves to a private address/),
    })
  })
})

describe('over TLS', () => {
  const client = async (options: { ca?: boolean; cert?: boolean } = {}): Promise<Http> => {
    const pem = await tlsCertificates()
    const tls = {
      ...(options.ca && { ca: pem.server.cert }),
      ...(options.cert && { cert: Buffer.from(pem.client.cert), key: Buffer.from(pem.client.key) }),
    }
    return new Http({ timeout: AMPLE, tls })
  }
  const serveTls = async (mutual = false): Promise<string> => {
    const { server, client: peer } = await tlsCertificates()
    return serve({
      tls: { ...server, ...(mutual && { requestCert: true, rejectUnauthorized: true, ca: peer.cert }) },
    })
  }

  test('a certificate of an unknown authority is not trusted, and the option is named', async () => {
    const url = await serveTls()
    const err = await refusal((await client()).fetch(url, { what }))
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 502 })
    expect(err.message).toMatch(/showed a certificate that is not trusted \([A-Z_]+\).*"tls_server_ca"/)
    expect(wire.requests).toEqual([])
  })

  test('a certificate of the given authority is trusted', async () => {
    const response = await (await client({ ca: true })).fetch(await serveTls(), { what })
    expect(response.status).toBe(200)
  })

  test('a certificate of another host is not trusted', async () => {
    const url = new URL(await serveTls())
    url.hostname = 'localhost'
    resolving('127.0.0.1')
    const err = await refusal((await client({ ca: true })).fetch(url, { what }))
    expect(err.message).toMatch(/certificate that is not trusted \(ERR_TLS_CERT_ALTNAME_INVALID\)/)
  })

  test('the client certificate is shown to a server that asks for it', async () => {
    const url = await serveTls(true)
    expect(
      (await (await client({ ca: true, cert: true })).fetch(url, { what, mutualTls: true })).status,
    ).toBe(200)
  })

  test('a server that asks for a certificate we do not have breaks off, and the option is named', async () => {
    const url = await serveTls(true)
    const err = await refusal((await client({ ca: true })).fetch(url, { what }))
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 502 })
    expect(err.message).toMatch(/broke the connection off \([A-Z_0-9]+\).*check tls_client_cert/)
  })

  test('a server without TLS says so', async () => {
    const url = (await serve()).replace('http:', 'https:')
    expect(await refusal((await client()).fetch(url, { what }))).toMatchObject({
      code: 'provider_unavailable',
      status: 502,
      message: expect.stringMatching(/broke the connection off \(ERR_SSL_[A-Z_]+\)/),
    })
  })
})

describe('a document is asked for', () => {
  const status =
    (code: number): Fault =>
    (res) =>
      res.writeHead(code).end()

  test.each<{ name: string; fault: Fault }>([
    { name: 'HTTP 500', fault: status(500) },
    { name: 'HTTP 503', fault: status(503) },
    { name: 'a reset', fault: reset },
    { name: 'an answer broken off', fault: brokenOff },
    { name: 'no answer in time', fault: hang },
  ])('a second time after $name', async ({ fault }) => {
    const url = await serve()
    wire.plan('bank.thing', fault, 1)
    expect((await http(LONGER).get(url, { what })).status).toBe(200)
    expect(wire.requests).toHaveLength(2)
  })

  test('a second time when it is its turn', async () => {
    const url = await serve()
    wire.plan('bank.thing', status(503), 1)
    const seen: number[] = []
    const slot = (): Promise<void> => {
      seen.push(wire.requests.length)
      return Promise.resolve()
    }
    expect((await http().get(url, { what, slot })).status).toBe(200)
    expect(seen).toEqual([1])
  })

  test('twice at most, and the second answer counts', async () => {
    const url = await serve()
    wire.plan('bank.thing', status(503), Infinity)
    expect((await http().get(url, { what })).status).toBe(503)
    expect(wire.requests).toHaveLength(2)
  })

  test('twice at most, and the second failure counts', async () => {
    const url = await serve()
    wire.plan('bank.thing', reset, Infinity)
    expect(await refusal(http().get(url, { what }))).toMatchObject({
      code: 'provider_unavailable',
      status: 502,
    })
    expect(wire.requests).toHaveLength(2)
  })

  test.each([200, 301, 400, 401, 404, 429])('once when the answer is HTTP %d', async (code) => {
    const url = await serve()
    wire.plan('bank.thing', status(code), Infinity)
    expect((await http().get(url, { what })).status).toBe(code)
    expect(wire.requests).toHaveLength(1)
  })

  test('twice at most, and the second silence counts', async () => {
    const url = await serve()
    wire.plan('bank.thing', hang, Infinity)
    expect(await refusal(http(SHORT).get(url, { what }))).toMatchObject({
      code: 'provider_unavailable',
      status: 504,
    })
    expect(wire.requests).toHaveLength(2)
  })

  test('once when whoever asked has given up', async () => {
    const url = await serve()
    const asker = new AbortController()
    const giveUp: Fault = () => {
      asker.abort()
    }
    wire.plan('bank.thing', giveUp, Infinity)
    const err = await refusal(http().get(url, { what, signal: asker.signal }))
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 504 })
    expect(wire.requests).toHaveLength(1)
  })

  test('with the same headers each time', async () => {
    const url = await serve()
    wire.plan('bank.thing', reset, 1)
    await http().get(url, { what, headers: { accept: 'application/json' } })
    expect(wire.requests.map(({ headers }) => headers.accept)).toEqual([
      'application/json',
      'application/json',
    ])
  })
})

describe('an endpoint', () => {
  test.each([
    'https://bank.example',
    'https://bank.example:8443/path?query',
    'https://10.0.0.1/',
    'http://localhost:3001',
    'http://127.0.0.1/path',
    'http://[::1]:3001/',
  ])('can be %s', (value) => {
    expect(parseEndpoint(value)?.href).toBe(new URL(value).href)
    expect(parseEndpoint(new URL(value))?.href).toBe(new URL(value).href)
  })

  test.each([
    [''],
    ['bank.example'],
    ['undefined/token'],
    ['http://bank.example'],
    ['http://localhost.bank.example'],
    ['http://127.0.0.1.bank.example'],
    ['https://user@bank.example'],
    ['https://:password@bank.example'],
    ['http://user@localhost'],
    ['ws://localhost'],
    ['javascript:alert(1)'],
    [42],
    [null],
    [undefined],
    [['https://bank.example']],
  ])('cannot be %j', (value) => {
    expect(parseEndpoint(value)).toBeUndefined()
  })
})

test.each(['https://trust.example/directory', 'https://trust.example/directory/'])(
  'what a service has lies below its URL: %s',
  (base) => {
    expect(joinUrl(base, 'jwks')).toBe('https://trust.example/directory/jwks')
  },
)

/** Begins an answer and sends a header every now and then. */
function slowHeaders(...[res]: Parameters<Fault>): void {
  res.socket?.write('HTTP/1.1 200 OK\r\n')
  const timer = setInterval(() => res.socket?.write('x-more: y\r\n'), 10)
  res.on('close', () => {
    clearInterval(timer)
  })
}

test('Bun is refused with its name', () => {
  Object.defineProperty(process.versions, 'bun', { value: '1.3.0', configurable: true })
  try {
    expect(() => new Http({ timeout: AMPLE })).toThrow(/Bun is not supported/)
  } finally {
    delete process.versions['bun']
  }
})
