// What the package says of servers that it must not trust, as this runtime's connections have it.
// guards.mjs '{ "ca": PEM, "servers": { NAME: URL } }'
/* global console */
import dns from 'node:dns'
import process from 'node:process'
import { IDPartner, generateJwks } from 'passport-idpartner'

const { ca, servers } = JSON.parse(process.argv[2])
const jwks = await generateJwks()

const lookup = dns.lookup
const ADDRESSES = { 'private.example': '10.1.2.3', 'loopback.example': '127.0.0.1' }
dns.lookup = (name, options, callback) => {
  const address = ADDRESSES[name]
  if (address === undefined) lookup(name, options, callback)
  else callback(null, [{ address, family: 4 }])
}

const said = Object.entries({
  ...servers,
  private: 'https://private.example',
  loopback: 'https://loopback.example',
}).map(async ([name, url]) => {
  const client = new IDPartner({
    client_id: 'my-app',
    callback: 'http://localhost:1/callback',
    jwks,
    oidc_proxy_service_url: url,
    timeout: 5000,
    ...(name !== 'stranger' && { tls_server_ca: ca }),
  })
  const begun = client.getAuthorizationUrl({}, client.generateProofs(), 'openid')
  return [
    name,
    await begun.then(
      () => 'nothing',
      (err) => `${err.code}: ${err.message}`,
    ),
  ]
})
console.log(JSON.stringify(Object.fromEntries(await Promise.all(said))))
