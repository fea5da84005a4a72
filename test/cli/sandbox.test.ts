import { expect, test } from '@jest/globals'
import { faultsOf } from '../../lib/sandbox/faults.js'
import type { SandboxConfig } from 'passport-idpartner/sandbox'
import { textOf } from '../support/browser.js'
import { cli } from '../support/cli.js'

interface Told {
  url: string
  config: SandboxConfig
}

test('runs until it is interrupted, and says what the app needs', async () => {
  let home = ''
  const { code, out, err } = await cli(['sandbox', '--port', '0', '--json'], '', async ({ out: soFar }) => {
    home = await (await fetch((JSON.parse(soFar) as Told).url)).text()
  })
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const { url, config } = JSON.parse(out) as Told
  expect(config).toMatchObject({
    client_id: 'my-app',
    callback: 'http://localhost:3000/login/callback',
    flow: 'proxy',
    oidc_proxy_service_url: expect.stringContaining(url),
  })
  expect(home).toContain('http://localhost:3000/jwks')
  await expect(fetch(url)).rejects.toThrow()
})

test('takes flow, callback and the other settings of an app', async () => {
  const args = [
    '--port',
    '0',
    '--flow',
    'direct',
    '--auth-method',
    'client_secret_basic',
    '--host',
    '127.0.0.1',
  ]
  const app = ['--callback', 'http://localhost:8080/cb', '--client-id', 'shop']
  const { code, out } = await cli(['sandbox', ...args, ...app])
  expect(code).toBe(0)
  expect(out).toContain('The sandbox runs at http://127.0.0.1:')
  expect(JSON.parse(out.slice(out.indexOf('{')))).toMatchObject({
    client_id: 'shop',
    callback: 'http://localhost:8080/cb',
    flow: 'direct',
    client_secret: expect.any(String),
    trusted_issuers: expect.any(Array),
  })
})

test('has banks of a network', async () => {
  let home = ''
  const args = ['sandbox', '--port', '0', '--network', 'singpass', '--json']
  const { code, out } = await cli(args, '', async ({ out: soFar }) => {
    home = await (await fetch((JSON.parse(soFar) as Told).url)).text()
  })
  expect(code).toBe(0)
  const { config } = JSON.parse(out) as Told
  expect(config).toMatchObject({ network: 'singpass', flow: 'direct' })
  expect(config.trusted_issuers).toEqual(expect.arrayContaining([expect.stringMatching(/mikomo\/fapi$/)]))
  expect(textOf(home)).toContain('singpass: banks that refuse whatever it does not have')
})

test.each([
  ['a network that is none', ['--network', 'nowhere'], /Allowed choices are connectid-au, singpass, /],
  ['a flow that the network has not', ['--network', 'helseid', '--flow', 'proxy'], /"flow" must be direct/],
  ['a port that is none', ['--port', '70000'], /must be a port number/],
  ['a flow that is none', ['--flow', 'sideways'], /Allowed choices are proxy, direct/],
  ['a callback that is none', ['--callback', 'nonsense'], /callback|Invalid URL/],
])('could not be run: %s', async (_name, args, message) => {
  expect(await cli(['sandbox', ...args])).toMatchObject({ code: 2, err: expect.stringMatching(message) })
})

test('its first page has a switch for what goes wrong with the next login', async () => {
  const pages: string[] = []
  await cli(['sandbox', '--port', '0', '--json'], '', async ({ out }) => {
    const { url } = JSON.parse(out) as Told
    const press = (fault: string): Promise<Response> =>
      fetch(`${url}/next`, { method: 'POST', body: new URLSearchParams({ fault }) })
    pages.push(await (await fetch(url)).text(), await (await press('bank_down')).text())
    pages.push(await (await press('')).text(), await (await press('no_such_fault')).text())
  })
  for (const fault of faultsOf({ flow: 'proxy', response_mode: 'jwt', dpop_bound_access_tokens: false }))
    expect(pages[0]).toContain(`<option value="${fault}"`)
  expect(pages.map((page) => /The next login goes \w+|is not one of/.exec(textOf(page))?.[0])).toEqual([
    'The next login goes well',
    'The next login goes wrong',
    'The next login goes well',
    'is not one of',
  ])
})
