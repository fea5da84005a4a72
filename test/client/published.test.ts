import { describe, expect, test } from '@jest/globals'
import type { IDPartnerConfig } from '../../lib/client/config.js'
import { resolveConfig } from '../../lib/client/resolve-config.js'
import { Publications } from '../../lib/client/published.js'
import { tlsCertificates } from '../support/certificates.js'
import { clientJwks } from '../support/key-pairs.js'

const config = async (): Promise<IDPartnerConfig> => ({
  client_id: 'app',
  callback: 'https://app.example/callback',
  jwks: await clientJwks(),
  log: console,
})

async function areShared(change: object, other: object = {}): Promise<boolean> {
  const publications = new Publications()
  const one = publications.of(resolveConfig({ ...(await config()), ...other }))
  return publications.of(resolveConfig({ ...(await config()), ...change })) === one
}

describe('what is published', () => {
  test.each<[string, object]>([
    ['of all options the same', {}],
    ['of another name', { client_id: 'other' }],
    ['of another address', { callback: 'https://other.example/callback' }],
    ['of other banks', { trusted_issuers: ['https://bank.example'] }],
    ['that talks to banks itself', { flow: 'direct', trusted_issuers: ['https://bank.example'] }],
    ['with another selector', { account_selector_service_url: 'https://select.example' }],
    ['with other algorithms', { id_token_signed_response_alg: 'ES256', dpop_bound_access_tokens: true }],
    ['with another clock', { clock_tolerance: 10 }],
  ])('is shared with a client %s', async (_which, change) => {
    expect(await areShared(change)).toBe(true)
  })

  test('is shared with a client that has a certificate, which has connections of its own', async () => {
    const { client } = await tlsCertificates()
    const plain = resolveConfig(await config())
    const mutual = resolveConfig({
      ...(await config()),
      tls_client_cert: client.cert,
      tls_client_key: client.key,
    })
    const publications = new Publications()
    const published = publications.of(plain)
    expect(publications.of(mutual)).toBe(published)
    expect(published.httpOf(plain)).toBe(published.httpOf(plain))
    expect(published.httpOf(mutual)).not.toBe(published.httpOf(plain))
    expect(published.httpOf(mutual)).not.toBe(published.httpOf(mutual))
  })

  test.each<[string, object]>([
    ['timeout', { timeout: 4000 }],
    ['log', { log: () => undefined }],
    ['directory', { trust_directory_service_url: 'https://directory.example' }],
    ['issuer of documents', { trust_directory_issuer: 'https://directory.example' }],
    ['proxy', { oidc_proxy_service_url: 'https://proxy.example' }],
  ])('is not shared with a client that has another %s', async (_what, change) => {
    expect(await areShared(change)).toBe(false)
  })

  test('is not shared with a client that trusts another authority', async () => {
    const { client, server } = await tlsCertificates()
    expect(await areShared({ tls_server_ca: server.cert })).toBe(false)
    expect(await areShared({ tls_server_ca: server.cert }, { tls_server_ca: client.cert })).toBe(false)
    expect(await areShared({ tls_server_ca: server.cert }, { tls_server_ca: server.cert })).toBe(true)
  })

  test('is not shared where an option differs that nobody has thought of here', async () => {
    const publications = new Publications()
    const resolved = resolveConfig(await config())
    const one = publications.of(resolved)
    expect(publications.of({ ...resolved, egress: 'elsewhere' } as never)).not.toBe(one)
  })

  test('is kept for a hundred ways to fetch it, and no more', async () => {
    const publications = new Publications()
    const resolved = resolveConfig(await config())
    const one = publications.of(resolved)
    for (let timeout = 1; timeout <= 99; timeout++) publications.of({ ...resolved, timeout })
    expect(publications.of(resolved)).toBe(one)
    publications.of({ ...resolved, timeout: 100 })
    expect(publications.of(resolved)).not.toBe(one)
  })
})
