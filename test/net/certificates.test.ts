import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { TLSSocket } from 'node:tls'
import { afterEach, expect, test } from '@jest/globals'
import { Http, type ClientTls, type HttpRequest } from '../../lib/net/http.js'
import { clientCertificate, tlsCertificates } from '../support/certificates.js'
import { refusal } from '../support/settle.js'

const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

/** A server that answers with the name in the certificate it was shown, some requests not before it is told to. */
async function startServer(): Promise<{ url: string; release: () => void; connections: () => number }> {
  const { server: pem } = await tlsCertificates()
  const waiting: (() => void)[] = []
  let connections = 0
  const server = createServer({ ...pem, requestCert: true, rejectUnauthorized: false }, (req, res) => {
    const { subject } = req.socket instanceof TLSSocket ? req.socket.getPeerCertificate() : {}
    const answer = (): void => {
      res.end((subject as { CN?: string } | undefined)?.CN ?? 'none')
    }
    if (req.url === '/held') waiting.push(answer)
    else answer()
    server.emit('asked')
  })
  server.on('secureConnection', () => connections++)
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    release: () => {
      for (const answer of waiting.splice(0)) answer()
    },
    connections: () => connections,
  }
}

const tlsOf = async (name: string): Promise<ClientTls> => {
  const { server } = await tlsCertificates()
  return { ...(await clientCertificate(name)), ca: server.cert }
}

const ask = async (http: Http, url: string, mutualTls: HttpRequest['mutualTls'] = true): Promise<string> =>
  (await http.fetch(url, { what: 'the bank', mutualTls })).text()

test('a new certificate is shown by the next request, and one on its way keeps the old', async () => {
  const { url, release, connections } = await startServer()
  const http = new Http({ timeout: 20_000, tls: await tlsOf('old') })
  const [server] = servers
  const asked = once(server as Server, 'asked')
  const held = ask(http, `${url}/held`)
  await asked
  http.useTls(await tlsOf('new'))
  expect(await ask(http, url)).toBe('new')
  release()
  expect(await held).toBe('old')
  // Not over the connection that has just become free.
  expect(await ask(http, url)).toBe('new')
  expect(connections()).toBe(2)
})

test('a kept connection with the old certificate is not used any more', async () => {
  const { url, connections } = await startServer()
  const http = new Http({ timeout: 20_000, tls: await tlsOf('old') })
  expect([await ask(http, url), await ask(http, url)]).toEqual(['old', 'old'])
  http.useTls(await tlsOf('new'))
  expect([await ask(http, url), await ask(http, url)]).toEqual(['new', 'new'])
  expect(connections()).toBe(2)
})

test('what belongs to an earlier request can still be shown the same certificate', async () => {
  const { url } = await startServer()
  const http = new Http({ timeout: 20_000, tls: await tlsOf('old') })
  const { identity } = http
  http.useTls(await tlsOf('new'))
  expect(await ask(http, url, identity)).toBe('old')
  expect(await ask(http, url)).toBe('new')
  expect(await ask(http, url, false)).toBe('none')
})

test('an authority that is trusted no more is not, even over a connection that was kept', async () => {
  const { url } = await startServer()
  const { server } = await tlsCertificates()
  const http = new Http({ timeout: 20_000, tls: { ca: server.cert } })
  expect(await ask(http, url)).toBe('none')
  http.useTls({ ca: (await clientCertificate('another authority')).cert })
  expect(await refusal(ask(http, url))).toMatchObject({ code: 'provider_unavailable', status: 502 })
  http.useTls({ ca: server.cert })
  expect(await ask(http, url)).toBe('none')
})
