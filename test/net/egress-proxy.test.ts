import dns from 'node:dns'
import { createServer, type ServerOptions } from 'node:https'
import { connect, type AddressInfo } from 'node:net'
import { Duplex, PassThrough } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { once } from 'node:events'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { EgressProxy, type Connect } from '../../lib/net/egress-proxy.js'
import { Http, type HttpRequest } from '../../lib/net/http.js'
import { PrivateNetworks } from '../../lib/net/private-networks.js'
import { tlsCertificates } from '../support/certificates.js'
import { ConnectProxy } from '../support/connect-proxy.js'
import { refusal } from '../support/settle.js'

const AMPLE = 20_000
const SHORT = 100
const what = 'the token endpoint of the bank bank.example'
const PASSWORD = 'p@ss:word'

const closing: (() => void)[] = []

afterEach(() => {
  jest.restoreAllMocks()
  for (const close of closing.splice(0)) close()
})

async function startProxy(tls = false): Promise<ConnectProxy> {
  const proxy = await ConnectProxy.start(tls ? (await tlsCertificates()).server : undefined)
  closing.push(() => {
    proxy.close()
  })
  return proxy
}

/** A bank that answers with the name of the client's certificate; returns its port. */
async function startBank(options: ServerOptions = {}): Promise<number> {
  const { server } = await tlsCertificates()
  const bank = createServer({ ...server, ...options }, ({ socket }, res) => {
    const { subject } = (socket as unknown as TLSSocket).getPeerCertificate() as { subject?: { CN: string } }
    res.end(subject?.CN ?? 'none')
  })
  closing.push(() => {
    bank.close()
    bank.closeAllConnections()
  })
  bank.listen(0, '127.0.0.1')
  await once(bank, 'listening')
  return (bank.address() as AddressInfo).port
}

async function through(
  egress: EgressProxy,
  { timeout = AMPLE, networks = [] as string[], mutual = false } = {},
): Promise<Http> {
  const { server, client } = await tlsCertificates()
  return new Http({
    timeout,
    tls: { ca: server.cert, ...(mutual && client) },
    networks: new PrivateNetworks(networks),
    egress,
  })
}

const ask = (http: Http, url: string, init: Partial<HttpRequest> = {}): Promise<Response> =>
  http.fetch(url, { ...init, what })

describe('through a proxy', () => {
  test('a bank is asked by its name, which nobody here looks up, and the proxy sees nothing but TLS', async () => {
    const [proxy, port] = [await startProxy(), await startBank()]
    const looked = jest.spyOn(dns, 'lookup')
    const http = await through(EgressProxy.at(new URL(proxy.url)))
    const headers = { authorization: 'Bearer secret-token' }
    const response = await ask(http, `https://bank.example:${String(port)}/token?code=secret`, { headers })
    await expect(response.text()).resolves.toBe('none')
    expect(proxy.asked).toEqual([`bank.example:${String(port)}`])
    expect(looked.mock.calls.map(([name]) => name)).not.toContain('bank.example')
    // A record of a TLS handshake (RFC 8446, section 5.1).
    expect(proxy.seen.map(([first]) => first)).toEqual([22])
    expect(Buffer.concat(proxy.seen).toString('latin1')).not.toMatch(/secret/)
  })

  test('a connection is kept, and used again', async () => {
    const [proxy, port] = [await startProxy(), await startBank()]
    const http = await through(EgressProxy.at(new URL(proxy.url)))
    for (let round = 0; round < 3; round++) await ask(http, `https://bank.example:${String(port)}/`)
    expect(proxy.asked).toHaveLength(1)
  })

  test('the client certificate is shown to the bank', async () => {
    const { client } = await tlsCertificates()
    const port = await startBank({ requestCert: true, rejectUnauthorized: true, ca: client.cert })
    const proxy = await startProxy()
    const http = await through(EgressProxy.at(new URL(proxy.url)), { mutual: true })
    const response = await ask(http, `https://bank.example:${String(port)}/`, { mutualTls: true })
    await expect(response.text()).resolves.toBe('test-app')
  })

  test('that is spoken to over TLS, a bank is asked over TLS within', async () => {
    const { server, client } = await tlsCertificates()
    const port = await startBank({ requestCert: true, rejectUnauthorized: true, ca: client.cert })
    const proxy = await startProxy(true)
    const http = await through(EgressProxy.at(new URL(proxy.url), { ca: server.cert }), { mutual: true })
    const response = await ask(http, `https://bank.example:${String(port)}/`, { mutualTls: true })
    await expect(response.text()).resolves.toBe('test-app')
  })

  test('credentials of its URL are shown to the proxy alone', async () => {
    const [proxy, port] = [await startProxy(), await startBank()]
    const url = new URL(proxy.url)
    Object.assign(url, { username: 'app', password: PASSWORD })
    await ask(await through(EgressProxy.at(url)), `https://bank.example:${String(port)}/`)
    expect(proxy.credentials).toEqual([`Basic ${Buffer.from(`app:${PASSWORD}`).toString('base64')}`])
  })

  test('no more than 32 connections to a host are opened at once', async () => {
    const [proxy, port] = [await startProxy(), await startBank()]
    const http = await through(EgressProxy.at(new URL(proxy.url)))
    const asking = Array.from({ length: 50 }, () => ask(http, `https://bank.example:${String(port)}/`))
    expect((await Promise.all(asking)).every(({ status }) => status === 200)).toBe(true)
    expect(proxy.asked.length).toBeLessThanOrEqual(32)
  })

  test('this machine is never asked, and what is excepted neither', async () => {
    const [proxy, port] = [await startProxy(), await startBank()]
    const egress = EgressProxy.at(new URL(proxy.url), { exceptions: 'bank.example' })
    const http = await through(egress)
    expect((await ask(http, `https://127.0.0.1:${String(port)}/`)).status).toBe(200)
    jest.spyOn(dns, 'lookup').mockImplementation(((
      _name: string,
      _options: object,
      found: (err: null, all: object[]) => void,
    ) => {
      found(null, [{ address: '10.0.0.1', family: 4 }])
    }) as never)
    expect((await refusal(ask(http, `https://bank.example:${String(port)}/`))).message).toMatch(
      /resolves to a private address/,
    )
    expect(proxy.asked).toEqual([])
  })

  test('a certificate of another name is not trusted, so a proxy cannot pose as a bank', async () => {
    const [proxy, port] = [await startProxy(), await startBank()]
    const http = await through(EgressProxy.at(new URL(proxy.url)))
    expect(await refusal(ask(http, `https://other.example:${String(port)}/`))).toMatchObject({
      code: 'provider_unavailable',
      message: expect.stringMatching(/ERR_TLS_CERT_ALTNAME_INVALID/),
    })
  })
})

describe('through a proxy, still refused and not asked for is', () => {
  test.each([
    ['a private address', 'https://10.0.0.1/', /private address/],
    ['a metadata service', 'https://169.254.169.254/', /private address/],
    ['a private address in IPv6', 'https://[fd00::1]/', /private address/],
    ['plain http', 'http://bank.example/', /not an https: URL/],
    ['a name of one word', 'https://metadata/', /name of a private network/],
    ['a name of a private network', 'https://metadata.google.internal/', /name of a private network/],
    ['such a name with a dot', 'https://metadata.google.internal./', /name of a private network/],
    ['this machine in another spelling', 'https://localhost./', /name of a private network/],
    ['a name below it', 'https://app.localhost./', /name of a private network/],
    ['a printer', 'https://printer.local/', /name of a private network/],
    ['what is at home', 'https://router.home.arpa/', /name of a private network/],
  ])('%s', async (_name, url, message) => {
    const proxy = await startProxy()
    const err = await refusal(ask(await through(EgressProxy.at(new URL(proxy.url))), url))
    expect(err).toMatchObject({
      code: 'provider_unavailable',
      status: 502,
      message: expect.stringMatching(message),
    })
    expect(proxy.asked).toEqual([])
  })

  test('what is listed is asked for', async () => {
    const [proxy, port] = [await startProxy(), await startBank()]
    const http = await through(EgressProxy.at(new URL(proxy.url)), { networks: ['bank.internal'] })
    expect((await ask(http, `https://bank.internal:${String(port)}/`)).status).toBe(200)
  })
})

describe('a proxy that', () => {
  const answering = (answer: string): ((proxy: ConnectProxy) => void) => {
    return (proxy) => {
      proxy.intervene = (socket) => socket.end(answer)
    }
  }

  test.each<[string, (proxy: ConnectProxy) => void, number, RegExp]>([
    [
      'wants credentials',
      answering('HTTP/1.1 407 No\r\n\r\n'),
      503,
      /HTTP 407: check the credentials in "egress_proxy"$/,
    ],
    [
      'refuses the credentials as if it were no proxy',
      answering('HTTP/1.0 401 No\r\n\r\n'),
      503,
      /HTTP 401: check the credentials in "egress_proxy"$/,
    ],
    [
      'forbids it',
      answering('HTTP/1.1 403 No\r\n\r\n<html>'),
      503,
      /HTTP 403: it has to allow CONNECT to there$/,
    ],
    ['cannot reach the bank', answering('HTTP/1.1 502 No\r\n\r\n'), 503, /answered HTTP 502$/],
    ['finds the bank too slow', answering('HTTP/1.1 504 No\r\n\r\n'), 504, /answered HTTP 504$/],
    [
      'sends elsewhere',
      answering('HTTP/1.1 302 No\r\nlocation: https://evil.example\r\n\r\n'),
      503,
      /answered HTTP 302$/,
    ],
    ['speaks something else', answering('220 smtp ready\r\n'), 503, /could not be reached \(HPE_\w+\)$/],
    ['hangs up', answering(''), 503, /could not be reached \(ECONNRESET\)$/],
    [
      'is not there',
      (proxy) => {
        proxy.close()
      },
      503,
      /could not be reached \(ECONNREFUSED\)$/,
    ],
  ])('%s is named, without its password', async (_name, prepare, status, message) => {
    const proxy = await startProxy()
    const url = new URL(proxy.url)
    Object.assign(url, { username: 'app', password: 'hunter2-secret' })
    prepare(proxy)
    const err = await refusal(ask(await through(EgressProxy.at(url)), 'https://bank.example/'))
    expect(err).toMatchObject({ code: 'provider_unavailable', status })
    expect(err.message).toMatch(message)
    expect(err.message).toContain(`${what} was not reached: the proxy ${new URL(proxy.url).host} `)
    expect(JSON.stringify([err, err.cause, String(err.stack)])).not.toMatch(/hunter2/)
  })

  test('never answers is named in time, and is not waited for any longer', async () => {
    const proxy = await startProxy()
    proxy.intervene = (socket) => socket.resume().on('end', () => socket.end())
    const http = await through(EgressProxy.at(new URL(proxy.url)), { timeout: SHORT })
    const err = await refusal(ask(http, 'https://bank.example/'))
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 504 })
    expect(err.message).toMatch(/was not reached: the proxy 127\.0\.0\.1:\d+ opened no connection in time/)
    while (proxy.sockets.size > 0) await new Promise(setImmediate)
  })

  test("answers in the bank's place is not taken for the bank", async () => {
    const proxy = await startProxy()
    proxy.intervene = (socket) =>
      socket.write('HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')
    const http = await through(EgressProxy.at(new URL(proxy.url)))
    expect(await refusal(ask(http, 'https://bank.example/'))).toMatchObject({
      code: 'provider_unavailable',
      message: expect.stringMatching(/broke the connection off \(ERR_SSL_\w+\)/),
    })
  })

  test('shows a certificate that is not trusted gets no credentials', async () => {
    const proxy = await startProxy(true)
    const url = new URL(proxy.url)
    Object.assign(url, { username: 'app', password: PASSWORD })
    const err = await refusal(ask(await through(EgressProxy.at(url)), 'https://bank.example/'))
    expect(err.message).toMatch(/the proxy .* could not be reached \([A-Z_]+\)$/)
    expect(proxy.credentials).toEqual([])
  })
})

describe('a function that connects', () => {
  test('is asked for the host, and TLS goes over what it returns', async () => {
    const port = await startBank()
    const asked: object[] = []
    const open: Connect = async ({ host, port: at }) => {
      asked.push({ host, port: at })
      const socket = connect(at, '127.0.0.1')
      await once(socket, 'connect')
      return socket
    }
    const http = await through(EgressProxy.by(open))
    expect((await ask(http, `https://bank.example:${String(port)}/`)).status).toBe(200)
    expect(asked).toEqual([{ host: 'bank.example', port }])
  })

  test.each<[string, Connect, RegExp, number]>([
    ['throws', () => Promise.reject(new Error('a secret')), /the function "egress_proxy" failed$/, 503],
    ['returns nothing', () => Promise.resolve(undefined as never), /returned no stream of bytes$/, 503],
    [
      'returns objects',
      () => Promise.resolve(new PassThrough({ objectMode: true })),
      /no stream of bytes$/,
      503,
    ],
    [
      'returns text',
      () => Promise.resolve(new PassThrough().setEncoding('utf8')),
      /no stream of bytes$/,
      503,
    ],
    ['returns what says back what it hears', () => Promise.resolve(new PassThrough()), /bank.example/, 502],
    ['returns a stream that has ended', () => Promise.resolve(new PassThrough().end()), /bank.example/, 502],
    [
      'returns a stream that was closed',
      () => Promise.resolve(new PassThrough().destroy()),
      /bank.example/,
      502,
    ],
    [
      'returns a stream that fails',
      () => {
        const stream = new Duplex({
          read() {},
          write: (_chunk, _encoding, written) => {
            written()
          },
        })
        setImmediate(() => stream.destroy(new Error('a secret')))
        return Promise.resolve(stream)
      },
      /bank.example/,
      502,
    ],
    ['never answers', () => new Promise(() => undefined), /opened no connection in time/, 504],
  ])('and %s is an error without its words', async (name, open, message, status) => {
    const http = await through(EgressProxy.by(open), { timeout: /never/.test(name) ? SHORT : AMPLE })
    const err = await refusal(ask(http, 'https://bank.example/'))
    expect(err).toMatchObject({ code: 'provider_unavailable', status })
    expect(err.message).toMatch(message)
    expect(err.message).not.toMatch(/secret/)
  })

  test('and comes too late has its stream closed', async () => {
    const late = new PassThrough()
    let answer: (stream: PassThrough) => void = () => undefined
    const http = await through(
      EgressProxy.by(() => new Promise((resolve) => (answer = resolve))),
      { timeout: SHORT },
    )
    await refusal(ask(http, 'https://bank.example/'))
    await new Promise((resolve) => setTimeout(resolve, SHORT))
    answer(late)
    while (!late.destroyed) await new Promise(setImmediate)
  })
})
