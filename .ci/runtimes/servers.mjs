// Servers that the package must not trust, or must not listen to for ever.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { Server as TlsServer, createServer as createTlsServer } from 'node:https'

/** What a login says that asks one of them; `served` is one that answers as any server may. */
export const REFUSALS = {
  served: /answer that fails a check/,
  stranger: /certificate that is not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\)/,
  misnamed: /certificate that is not trusted \(ERR_TLS_CERT_ALTNAME_INVALID\)/,
  tls11: /broke the connection off/,
  cbc: /broke the connection off/,
  endless: /answered with more than 1 MiB/,
  redirecting: /answered with HTTP 302/,
  private: /resolves to a private address/,
  loopback: /resolves to a private address/,
}

/** @param generate that of the package selfsigned */
export async function startServers(generate) {
  const certificate = (name) =>
    generate([{ name: 'commonName', value: name }], {
      extensions: [
        { name: 'subjectAltName', altNames: [{ type: 2, value: name }] },
        { name: 'basicConstraints', cA: true },
      ],
    })
  const good = await certificate('localhost')
  const misnamed = await certificate('other.example')
  let strayed = 0
  const answer = (_req, res) => res.end('{}')
  const tls = ({ cert, private: key }, options) => createTlsServer({ cert, key, ...options }, answer)
  const made = {
    served: tls(good),
    stranger: tls(good),
    misnamed: tls(misnamed),
    tls11: tls(good, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
    cbc: tls(good, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-SHA256' }),
    endless: createServer((_req, res) => {
      const send = () => {
        while (res.write(' '.repeat(65_536)));
      }
      res.on('drain', send)
      send()
    }),
    redirecting: createServer((req, res) => {
      if (req.url === '/elsewhere') strayed++
      res.writeHead(302, { location: '/elsewhere' }).end()
    }),
  }
  const servers = {}
  for (const [name, server] of Object.entries(made)) {
    await once(server.listen(0, 'localhost'), 'listening')
    const scheme = server instanceof TlsServer ? 'https' : 'http'
    servers[name] = `${scheme}://localhost:${server.address().port}`
  }
  return {
    given: { ca: `${good.cert}\n${misnamed.cert}`, servers },
    strayed: () => strayed,
    close: () => {
      for (const server of Object.values(made)) {
        server.closeAllConnections()
        server.close()
      }
    },
  }
}
