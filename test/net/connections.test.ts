import dns from 'node:dns'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { Agent as TlsAgent, createServer as createTlsServer, type ServerOptions } from 'node:https'
import {
  createServer as createRawServer,
  type AddressInfo,
  type Server as RawServer,
  type Socket,
} from 'node:net'
import { TLSSocket, connect, type ConnectionOptions } from 'node:tls'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { Http, type HttpRequest } from '../../lib/net/http.js'
import { PrivateNetworks } from '../../lib/net/private-networks.js'
import { rsaCertificate, tlsCertificates } from '../support/certificates.js'
import { travel, useClock } from '../support/clock.js'
import { refusal } from '../support/settle.js'

useClock()

const AMPLE = 20_000
/** For what never answers. */
const SHORT = 100

const what = 'the thing of the bank'

const open: (() => void)[] = []

afterEach(() => {
  jest.restoreAllMocks()
  for (const close of open.splice(0)) close()
})

interface Listening {
  url: string
  sockets: Socket[]
}

async function listen(server: RawServer, scheme = 'http'): Promise<Listening> {
  const sockets: Socket[] = []
  server.on('connection', (socket: Socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
  })
  open.push(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `${scheme}://127.0.0.1:${String((server.address() as AddressInfo).port)}/`, sockets }
}

const serve = (listener: RequestListener): Promise<Listening> => listen(createServer(listener))

/** Answers each request with these bytes. */
const raw = (...answers: string[]): Promise<Listening> =>
  listen(
    createRawServer((socket) => {
      socket.on('data', () => socket.write(answers.shift() ?? ''))
    }),
  )

const ask = (http: Http, url: string, init: Partial<HttpRequest> = {}): Promise<Response> =>
  http.fetch(url, { ...init, what })

const post = { method: 'POST', body: 'code=once' }

/** Sends the same without end, as fast as it is taken. */
const flood = (bytes: string): Promise<Listening> =>
  listen(
    createRawServer((socket) => {
      const more = (): void => {
        if (!socket.destroyed) socket.write(bytes, more)
      }
      socket.once('data', more)
    }),
  )

/** What the system says that a name leads to, one answer for each time it is asked. */
function resolving(...answers: string[]): jest.Mock {
  const asked = jest.fn()
  jest.spyOn(dns, 'lookup').mockImplementation(((
    name: string,
    _options: unknown,
    callback: (err: null, found: object[]) => void,
  ) => {
    asked(name)
    callback(null, [{ address: answers.shift() ?? '10.0.0.1', family: 4 }])
  }) as unknown as typeof dns.lookup)
  return asked
}

describe('a connection', () => {
  test('goes to the very address that was judged: its name is not looked up a second time', async () => {
    const { url, sockets } = await serve((_req, res) => res.end('yes'))
    const { port } = new URL(url)
    const asked = resolving('127.0.0.1', '169.254.169.254')
    const http = new Http({ timeout: AMPLE })
    expect((await ask(http, `http://app.localhost:${port}/`)).status).toBe(200)
    expect(asked).toHaveBeenCalledTimes(1)
    expect(sockets).toHaveLength(1)
    // A new connection asks anew, and is judged anew.
    sockets[0]?.destroy()
    expect((await refusal(ask(http, `http://app.localhost:${port}/`))).message).toMatch(/private address/)
    expect(asked).toHaveBeenCalledTimes(2)
    expect(sockets).toHaveLength(1)
  })

  test('is not used for another name of the same address', async () => {
    const { url, sockets } = await serve((req, res) => res.end(req.headers.host))
    const { port } = new URL(url)
    resolving('127.0.0.1', '127.0.0.1')
    const http = new Http({ timeout: AMPLE })
    for (const host of ['one.localhost', 'other.localhost']) {
      await expect((await ask(http, `http://${host}:${port}/`)).text()).resolves.toBe(`${host}:${port}`)
    }
    expect(sockets).toHaveLength(2)
  })

  test('is used again by whoever asks next', async () => {
    const { url, sockets } = await serve((_req, res) => res.end('yes'))
    const http = new Http({ timeout: AMPLE })
    for (let request = 0; request < 3; request++) await ask(http, url, post)
    expect(sockets).toHaveLength(1)
  })

  test.each(['timeout=3600, max=1000', 'timeout=5', undefined])(
    'that was idle for more than four seconds is not used again (Keep-Alive: %s)',
    async (hint) => {
      const { url, sockets } = await serve((_req, res) => {
        if (hint !== undefined) res.setHeader('keep-alive', hint)
        res.end('yes')
      })
      const http = new Http({ timeout: AMPLE })
      await ask(http, url)
      travel(4100)
      await ask(http, url, post)
      expect(sockets).toHaveLength(2)
    },
  )

  test('that nobody uses is closed after four seconds, whatever the server announces', async () => {
    const server = createServer({ keepAliveTimeout: 60_000 }, (_req, res) => {
      res.setHeader('keep-alive', 'timeout=60').end('yes')
    })
    const { url, sockets } = await listen(server)
    await ask(new Http({ timeout: AMPLE }), url)
    const [socket] = sockets
    if (!socket) throw new Error('no connection')
    await once(socket, 'close')
    expect(socket.destroyed).toBe(true)
  }, 20_000)

  test('that the server has closed is not used again', async () => {
    const { url, sockets } = await serve((_req, res) => res.end('yes'))
    const http = new Http({ timeout: AMPLE })
    await ask(http, url)
    sockets[0]?.end()
    expect((await ask(http, url, post)).status).toBe(200)
    expect(sockets).toHaveLength(2)
  })

  test('that breaks under a POST is not tried again with another', async () => {
    let posts = 0
    const { url } = await serve((req, res) => {
      if (req.method === 'GET') res.end('yes')
      else if (++posts > 0) res.socket?.resetAndDestroy()
    })
    const http = new Http({ timeout: AMPLE })
    await ask(http, url)
    expect(await refusal(ask(http, url, post))).toMatchObject({ code: 'provider_unavailable', status: 502 })
    expect(posts).toBe(1)
  })

  test('is one of 32 to an origin at most', async () => {
    const { url, sockets } = await serve((_req, res) => {
      setImmediate(() => res.end('yes'))
    })
    const http = new Http({ timeout: AMPLE })
    const answers = await Promise.all(Array.from({ length: 500 }, () => ask(http, url, post)))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(sockets.length).toBeLessThanOrEqual(32)
  })

  test('that nobody gives back does not keep others longer than their time', async () => {
    let isSilent = true
    const { url } = await serve((_req, res) => {
      if (!isSilent) res.end('yes')
    })
    const hasty = new Http({ timeout: SHORT })
    const errors = await Promise.all(Array.from({ length: 100 }, () => refusal(ask(hasty, url, post))))
    expect(errors.every(({ status }) => status === 504)).toBe(true)
    isSilent = false
    // As often as it takes a busy machine.
    await expect(hasty.get(url, { what }).catch(() => hasty.get(url, { what }))).resolves.toHaveProperty(
      'status',
      200,
    )
  })
})

describe('an answer', () => {
  const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n'

  test.each([
    ['after a note that it may take a while', 'HTTP/1.1 102 Processing\r\n\r\n', ''],
    ['after early hints', 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n', ''],
    ['after leave to go on', 'HTTP/1.1 100 Continue\r\n\r\n', ''],
  ])('counts %s', async (_name, before) => {
    const { url } = await raw(`${before}${ok}\r\nok`)
    const response = await ask(new Http({ timeout: AMPLE }), url, post)
    expect(response.status).toBe(200)
    expect(response.headers.has('link')).toBe(false)
    await expect(response.text()).resolves.toBe('ok')
  })

  const hints = `HTTP/1.1 103 Early Hints\r\nlink: ${'x'.repeat(15_000)}\r\n\r\n`
  test('counts after twenty notes that come before it', async () => {
    const { url } = await raw(`${hints.repeat(20)}${ok}\r\nok`)
    await expect((await ask(new Http({ timeout: AMPLE }), url)).text()).resolves.toBe('ok')
  })

  test.each([
    ['early hints', hints],
    ['leave to go on', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['word that it may take a while', 'HTTP/1.1 102 Processing\r\n\r\n'],
  ])('that sends %s without end is broken off', async (_name, note) => {
    const { url, sockets } = await flood(note)
    expect(await refusal(ask(new Http({ timeout: AMPLE }), url, post))).toMatchObject({
      code: 'provider_unavailable',
      status: 502,
      message: 'the thing of the bank sent interim answers without end',
    })
    while (sockets[0]?.destroyed !== true) await new Promise(setImmediate)
    expect(sockets).toHaveLength(1)
  })

  test.each([
    ['of its first line', ''],
    ['of its headers', 'HTTP/1.1 200 OK\r\nx: '],
    ['of notes before it', 'HTTP/1.1 103 Early Hints\r\nx: '],
    ['of a chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffff\r\n'],
    ['of the length of a chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'],
  ])('that comes byte by byte, %s, has as long as any other', async (_name, begin) => {
    const { url, sockets } = await listen(
      createRawServer((socket) => {
        socket.write(begin)
        const dripping = setInterval(() => socket.write(begin === '' ? 'H' : '0'), 10)
        socket.on('close', () => {
          clearInterval(dripping)
        })
      }),
    )
    const err = await refusal(ask(new Http({ timeout: SHORT * 3 }), url))
    // A first line that is none may be refused before that.
    expect([502, 504]).toContain(err.status)
    if (begin !== '') expect(err.status).toBe(504)
    while (sockets[0]?.destroyed !== true) await new Promise(setImmediate)
  })

  test('may have trailers, which do not count', async () => {
    const { url } = await raw(
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-late\r\n\r\n2\r\nok\r\n0\r\nx-late: 1\r\n\r\n',
    )
    const response = await ask(new Http({ timeout: AMPLE }), url)
    expect(response.headers.has('x-late')).toBe(false)
    await expect(response.text()).resolves.toBe('ok')
  })

  test('that ends with the connection is whole', async () => {
    const { url, sockets } = await raw('HTTP/1.1 200 OK\r\n\r\nok')
    const asking = ask(new Http({ timeout: AMPLE }), url)
    await once(sockets[0] ?? (await connected(sockets)), 'data')
    setImmediate(() => sockets[0]?.end())
    await expect((await asking).text()).resolves.toBe('ok')
  })

  test.each([
    ['changes the protocol', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'],
    ['has a header without a name', `${ok}: x\r\n\r\nok`],
    ['has a header with a space in its name', `${ok}x y: z\r\n\r\nok`],
    ['has a header with a NUL', `${ok}x: \0\r\n\r\nok`],
    ['has 100 KB of headers', `${ok}x: ${'y'.repeat(100_000)}\r\n\r\nok`],
    ['has two lengths', `${ok}content-length: 3\r\n\r\nok`],
    ['has a length and chunks', `${ok}transfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['has a length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nok'],
    ['has a chunk that is none', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n'],
    ['has a status that is none', 'HTTP/1.1 2000 OK\r\n\r\n'],
    ['is of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ])('that %s is none', async (_name, bytes) => {
    const { url } = await raw(bytes)
    const err = await refusal(ask(new Http({ timeout: AMPLE }), url))
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 502 })
    expect(err.message).toMatch(/^the thing of the bank (could not be reached|broke|closed)/)
  })

  test('that nobody asked for is not taken for the next', async () => {
    const { url } = await raw(`${ok}\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`, `${ok}\r\nno`)
    const http = new Http({ timeout: AMPLE })
    await ask(http, url).catch(() => undefined)
    const second = await ask(http, url).then(
      (response) => response.text(),
      () => 'refused',
    )
    expect(second).not.toBe('evil')
  })

  test('is broken off where it becomes too long', async () => {
    const { url, sockets } = await serve((_req, res) => {
      res.writeHead(200)
      const more = (): void => {
        if (!res.destroyed) res.write('x'.repeat(64 * 1024), more)
      }
      more()
    })
    expect((await refusal(ask(new Http({ timeout: AMPLE }), url))).message).toMatch(/more than 1 MiB/)
    while (sockets[0]?.destroyed !== true) await new Promise(setImmediate)
    expect(sockets).toHaveLength(1)
  })
})

test.each(['line\r\nbreak', 'line\nbreak', 'nul\0', 'wide \u{1f600}'])(
  'a header that could become two does not leave, nor get into the message: %j',
  async (value) => {
    const { url, sockets } = await serve((_req, res) => res.end())
    const headers = { authorization: `Bearer secret-${value}` }
    const err = await refusal(ask(new Http({ timeout: AMPLE }), url, { headers }))
    expect(err.message).toBe('the thing of the bank could not be reached (ERR_INVALID_CHAR)')
    expect(String((err.cause as Error).stack)).not.toContain('secret')
    expect(sockets).toHaveLength(0)
  },
)

describe('a Content-Encoding', () => {
  const text = '{"keys":[]}'
  const encoded = (coding: string | string[], body: Buffer | string): Promise<Listening> =>
    serve((_req, res) => {
      res.setHeader('content-encoding', coding)
      res.end(body)
    })

  test('is not asked for', async () => {
    const asked: unknown[] = []
    const { url } = await serve((req, res) => {
      asked.push(req.headers['accept-encoding'])
      res.end()
    })
    await ask(new Http({ timeout: AMPLE }), url)
    expect(asked).toEqual(['identity'])
  })

  test.each<[string, string, Buffer | string]>([
    ['gzip', 'gzip', gzipSync(text)],
    ['gzip in capitals', 'GZIP', gzipSync(text)],
    ['x-gzip', 'x-gzip', gzipSync(text)],
    ['deflate', 'deflate', deflateSync(text)],
    ['deflate without its header', 'deflate', deflateRawSync(text)],
    ['br', 'br', brotliCompressSync(text)],
    ['identity', 'identity', text],
    ['none', '', text],
    ['gzip and identity', 'gzip, identity', gzipSync(text)],
  ])('that comes all the same is taken off: %s', async (_name, coding, body) => {
    const { url } = await encoded(coding, body)
    await expect((await ask(new Http({ timeout: AMPLE }), url)).text()).resolves.toBe(text)
  })

  test('without a body is no fault', async () => {
    const { url } = await encoded('gzip', '')
    await expect((await ask(new Http({ timeout: AMPLE }), url)).text()).resolves.toBe('')
  })

  test('is decoded up to 1 MiB', async () => {
    const { url } = await encoded('gzip', gzipSync('x'.repeat(1024 * 1024)))
    await expect((await ask(new Http({ timeout: AMPLE }), url)).text()).resolves.toHaveLength(1024 * 1024)
  })

  const much = Buffer.alloc(64 * 1024 * 1024)
  test.each<[string, () => Buffer]>([
    ['gzip', () => gzipSync('x'.repeat(1024 * 1024 + 1))],
    ['gzip', () => gzipSync(much)],
    ['deflate', () => deflateSync(much)],
    ['deflate', () => deflateRawSync(much)],
    ['br', () => brotliCompressSync(much)],
  ])('of a few bytes that become many is refused: %s', async (coding, body) => {
    const { url } = await encoded(coding, body())
    expect(await refusal(ask(new Http({ timeout: AMPLE }), url))).toMatchObject({
      code: 'provider_unavailable',
      status: 502,
      message: 'the thing of the bank answered with more than 1 MiB',
    })
  })

  test.each<[string, string, Buffer | string, string]>([
    ['zstd', 'zstd', 'x', 'answered in a Content-Encoding that is not known here: zstd'],
    [
      'one upon another',
      'gzip, gzip',
      gzipSync(gzipSync(text)),
      'answered in a Content-Encoding that is not known here: an unusual one',
    ],
    ['what is not gzip', 'gzip', text, 'answered with a body that is not the gzip it is said to be'],
    [
      'gzip without its end',
      'gzip',
      gzipSync(text).subarray(0, -9),
      'answered with a body that is not the gzip it is said to be',
    ],
    ['what is not brotli', 'br', text, 'answered with a body that is not the br it is said to be'],
  ])('that cannot be taken off is said: %s', async (_name, coding, body, message) => {
    const { url } = await encoded(coding, body)
    expect(await refusal(ask(new Http({ timeout: AMPLE }), url))).toMatchObject({
      code: 'provider_unavailable',
      status: 502,
      message: `the thing of the bank ${message}`,
    })
  })
})

describe('over TLS', () => {
  const serveTls = async (options: ServerOptions): Promise<Listening & { server: Server }> => {
    const server = createTlsServer(options, ({ socket }, res) => {
      const isShown = socket instanceof TLSSocket && Object.keys(socket.getPeerCertificate()).length > 0
      res.end(isShown ? 'certificate' : 'none')
    })
    server.on('tlsClientError', () => undefined)
    return { ...(await listen(server, 'https')), server }
  }

  test.each([
    ['ECDHE-RSA-AES128-GCM-SHA256', true],
    ['ECDHE-RSA-AES256-GCM-SHA384', true],
    ['DHE-RSA-AES128-GCM-SHA256', true],
    ['DHE-RSA-AES256-GCM-SHA384', true],
    ['AES128-GCM-SHA256', false],
    ['AES256-GCM-SHA384', false],
    ['AES128-SHA', false],
    ['ECDHE-RSA-AES128-SHA256', false],
    ['ECDHE-RSA-AES256-SHA', false],
    ['DHE-RSA-AES128-SHA256', false],
  ])('1.2 with %s is good enough: %s', async (ciphers, isGood) => {
    const { cert, key } = await rsaCertificate()
    const { url } = await serveTls({ cert, key, ciphers, maxVersion: 'TLSv1.2', dhparam: 'auto' })
    const asking = ask(new Http({ timeout: AMPLE, tls: { ca: cert } }), url)
    if (isGood) expect((await asking).status).toBe(200)
    else expect((await refusal(asking)).message).toMatch(/broke the connection off \(ERR_SSL_\w+\)/)
  })

  test('1.3 is good enough', async () => {
    const { cert, key } = await rsaCertificate()
    const { url } = await serveTls({ cert, key, minVersion: 'TLSv1.3' })
    expect((await ask(new Http({ timeout: AMPLE, tls: { ca: cert } }), url)).status).toBe(200)
  })

  test('1.1 is not', async () => {
    const { cert, key } = await rsaCertificate()
    const { url } = await serveTls({
      cert,
      key,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    const err = await refusal(ask(new Http({ timeout: AMPLE, tls: { ca: cert } }), url))
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 502 })
  })

  test('certificates are checked also where NODE_TLS_REJECT_UNAUTHORIZED says otherwise', async () => {
    const { server } = await tlsCertificates()
    const { url } = await serveTls(server)
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    try {
      const err = await refusal(ask(new Http({ timeout: AMPLE }), url))
      expect(err.message).toMatch(/certificate that is not trusted/)
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
      warned.mockRestore()
    }
  })

  test('a connection whose certificate is of one name is not used for another', async () => {
    const { server } = await tlsCertificates()
    const { url } = await serveTls(server)
    const http = new Http({ timeout: AMPLE, tls: { ca: server.cert } })
    expect((await ask(http, url)).status).toBe(200)
    const other = new URL(url)
    other.hostname = 'localhost'
    resolving('127.0.0.1')
    expect((await refusal(ask(http, other.href))).message).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID/)
  })

  test('a connection of one client is not used by another, who trusts other authorities', async () => {
    const { server } = await tlsCertificates()
    const { url } = await serveTls(server)
    expect((await ask(new Http({ timeout: AMPLE, tls: { ca: server.cert } }), url)).status).toBe(200)
    expect((await refusal(ask(new Http({ timeout: AMPLE }), url))).message).toMatch(/is not trusted/)
  })

  test('the client certificate is shown with the requests that are to show it, and with no others', async () => {
    const { server, client } = await tlsCertificates()
    const { url } = await serveTls({ ...server, requestCert: true, rejectUnauthorized: false })
    const http = new Http({ timeout: AMPLE, tls: { ...client, ca: server.cert } })
    const shown: string[] = []
    for (const mutualTls of [false, true, undefined, true]) {
      shown.push(await (await ask(http, url, { mutualTls })).text())
    }
    expect(shown).toEqual(['none', 'certificate', 'none', 'certificate'])
  })
})

describe('a private network that is open', () => {
  /** Names lead to these addresses; what may be connected to of them is this machine in truth. */
  async function bankAt(
    address: string,
  ): Promise<{ ask: (networks: string[], host?: string) => Promise<Response> }> {
    const { server } = await tlsCertificates()
    const { url } = await listen(
      createTlsServer(server, (_req, res) => res.end('yes')),
      'https',
    )
    const { port } = new URL(url)
    resolving(...Array.from({ length: 10 }, () => address))
    jest.spyOn(TlsAgent.prototype, 'createConnection').mockImplementation(((options: ConnectionOptions) =>
      connect({
        ...options,
        lookup: (name, wanted, found) => {
          options.lookup?.(name, wanted, (err) => {
            if (err) found(err, [])
            else found(null, [{ address: '127.0.0.1', family: 4 }])
          })
        },
      })) as never)
    return {
      ask: (list, host = 'bank.internal') =>
        ask(
          new Http({ timeout: AMPLE, tls: { ca: server.cert }, networks: new PrivateNetworks(list) }),
          `https://${host}:${port}/`,
        ),
    }
  }

  test.each([
    ['by its name', ['bank.internal']],
    ['by its range', ['10.1.0.0/16']],
  ])('%s', async (_name, list) => {
    const bank = await bankAt('10.1.2.3')
    expect((await bank.ask(list)).status).toBe(200)
  })

  test.each([
    ['another name', '10.1.2.3', ['bank.example']],
    ['another range', '10.1.2.3', ['10.2.0.0/16']],
    ['a name that leads to this machine', '127.0.0.1', ['bank.internal']],
    ['a name that leads to a metadata service', '169.254.169.254', ['bank.internal', '10.1.0.0/16']],
  ])('does not open %s', async (_name, address, list) => {
    const bank = await bankAt(address)
    expect(await refusal(bank.ask(list))).toMatchObject({
      code: 'provider_unavailable',
      status: 502,
      message: `${what} resolves to a private address, which is refused (see the option "private_networks")`,
    })
  })

  test('is not asked over plain http', async () => {
    const http = new Http({ timeout: AMPLE, networks: new PrivateNetworks(['bank.internal', '10.1.0.0/16']) })
    for (const url of ['http://bank.internal/', 'http://10.1.2.3/']) {
      expect((await refusal(ask(http, url))).message).toMatch(/not an https: URL/)
    }
  })
})

async function connected(sockets: Socket[]): Promise<Socket> {
  while (!sockets[0]) await new Promise(setImmediate)
  return sockets[0]
}
