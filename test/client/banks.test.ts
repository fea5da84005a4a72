import { describe, expect, test } from '@jest/globals'
import { IDPartner, type IDPartnerConfig } from 'passport-idpartner'
import { startSandbox } from 'passport-idpartner/sandbox'
import { startApp } from '../support/app.js'
import { Browser } from '../support/browser.js'
import { MINUTE, travel, useClock } from '../support/clock.js'
import { hang, json } from '../support/faults.js'
import { Wire, startServer } from '../support/loopback-server.js'
import { startScene, useScenes } from '../support/scene.js'
import { refusal } from '../support/settle.js'

useScenes()
useClock()

const clientOf = (trusted_issuers: IDPartnerConfig['trusted_issuers'], timeout = 5000): IDPartner =>
  new IDPartner({
    client_id: 'app',
    callback: 'https://app.example/callback',
    flow: 'direct',
    token_endpoint_auth_method: 'client_secret_basic',
    client_secret: 'a secret',
    trusted_issuers,
    timeout,
  })

/** A server with one bank at each path, which says this of itself. */
async function publish(banks: Record<string, object>) {
  const wire = new Wire()
  let origin = ''
  const routes = Object.entries(banks).map(([name, members]) => [
    `${name} /${name}/.well-known/openid-configuration`,
    () => json({ issuer: `${origin}/${name}`, jwks_uri: `${origin}/keys`, ...members }),
  ])
  const server = await startServer('bank', Object.fromEntries(routes) as never, wire)
  origin = server.origin
  return {
    wire,
    server,
    issuers: Object.keys(banks).map((name) => `${origin}/${name}`),
    host: new URL(origin).host,
  }
}

describe('the banks of the list', () => {
  test('have the names and logos that they publish, and one without has its host', async () => {
    const { server, issuers, host } = await publish({
      a: { organization_name: 'Bank\u202E A', logo_uri: 'https://cdn.example/a.svg' },
      b: { logo_uri: 'javascript:alert(1)' },
    })
    const [a, b] = issuers
    expect(await clientOf(issuers).banks()).toEqual([
      { issuer: a, name: 'Bank A', logo: 'https://cdn.example/a.svg' },
      { issuer: b, name: host },
    ])
    await server.close()
  })

  test('are asked once, whoever wants them, and again after a while', async () => {
    const { server, issuers, wire } = await publish({ a: { organization_name: 'A' } })
    const client = clientOf(issuers)
    await Promise.all([client.banks(), client.banks()])
    await client.banks()
    expect(wire.requests).toHaveLength(1)
    travel(11 * MINUTE)
    expect(await client.banks()).toMatchObject([{ name: 'A' }])
    while (wire.requests.length < 2) await new Promise((resolve) => setTimeout(resolve, 10))
    await server.close()
  })

  test('are listed though one of them hangs, which is asked behind the others', async () => {
    const { server, issuers, wire, host } = await publish({
      a: { organization_name: 'A' },
      b: { organization_name: 'B' },
    })
    wire.plan('bank.b', hang, Infinity)
    const client = clientOf(issuers, 300)
    expect(await client.banks()).toMatchObject([{ name: 'A' }, { name: host }])
    expect(await client.banks()).toMatchObject([{ name: 'A' }, { name: host }])
    await server.close()
  })

  test('of the sandbox have names and logos', async () => {
    const sandbox = await startSandbox({
      client_id: 'app',
      callback: 'http://localhost:1/callback',
      flow: 'direct',
      token_endpoint_auth_method: 'client_secret_basic',
    })
    const banks = await new IDPartner(sandbox.config).banks()
    expect(banks).toEqual(
      sandbox.banks.map(({ issuer, name }) => ({ issuer, name, logo: `${issuer}/logo.svg` })),
    )
    await sandbox.close()
  })

  test.each([[() => true], [undefined]])('are nobody knows which without a list: %p', async (trusted) => {
    const client = trusted ? clientOf(trusted) : new IDPartner(await (await startScene()).platform.config())
    expect(await refusal(client.banks())).toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(/"trusted_issuers"/),
    })
  })
})

test('a login of the direct flow names its bank as the bank does', async () => {
  const app = await startApp({ sandbox: { flow: 'direct' } })
  try {
    const browser = new Browser()
    const login = await browser.press(await browser.open(`${app.url}/login`), 'Mikomo Bank')
    const who = { login: 'mikomo_10', password: 'mikomo_10' }
    await browser.press(await browser.press(login, 'Log in', who), 'Share and continue')
    const [bank] = app.sandbox.banks
    expect(app.logins[0]?.identityProvider).toEqual({
      name: 'Mikomo Bank',
      issuer_url: bank?.issuer,
      logo_uri: `${String(bank?.issuer)}/logo.svg`,
    })
  } finally {
    await app.close()
  }
})
