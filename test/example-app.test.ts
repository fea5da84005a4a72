import { spawn, type ChildProcess } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { claimLines } from '../example-app/claims.js'
import { developmentKeys } from '../example-app/dev-keys.js'
import { Browser, textOf, type Page } from './support/browser.js'
import { startExample, type Example } from './support/example.js'
import { unusedOrigin } from './support/loopback-server.js'

const PERSONA = { login: 'mikomo_10', password: 'mikomo_10' }

let example: Example

beforeAll(async () => {
  example = await startExample()
})

afterAll(async () => {
  await example.close()
})

/** A visitor who stops nowhere. */
function visitor(): Browser {
  return new Browser('nowhere:')
}

/** Where the link leads that has these words. */
function linkOf({ html, url }: Page, words: string): string {
  const links = [...html.matchAll(/<a [^>]*href="([^"]*)"[^>]*>(.*?)<\/a>/gs)]
  const [, href] = links.find(([, , text = '']) => textOf(text).includes(words)) ?? []
  if (href === undefined) throw new Error(`no link "${words}" on ${url}`)
  return new URL(href.replaceAll('&amp;', '&'), url).href
}

async function logIn(
  browser: Browser,
  { url }: Example = example,
  path = '/login',
  who = PERSONA,
): Promise<Page> {
  const selector = await browser.open(url + path)
  const login = await browser.press(selector, 'Mikomo Bank')
  const consent = await browser.press(login, 'Log in', who)
  return browser.press(consent, 'Share and continue')
}

describe('a login', () => {
  test('ends on the profile page, which shows what the bank said', async () => {
    const browser = visitor()
    const home = await browser.open(`${example.url}/`)
    expect(home.html).toContain('href="/login"')

    const profile = await logIn(browser)

    expect(profile).toMatchObject({ url: `${example.url}/profile`, status: 200 })
    const [bank] = example.sandbox.banks
    const text = textOf(profile.html)
    expect(text).toContain('Welcome aboard, Philip')
    expect(text).toContain('Email email philip.lindqvist@example.com')
    expect(text).toContain('21 or older age_over_21 Yes')
    expect(text).toContain(`Bank Mikomo Bank Issuer ${bank?.issuer ?? ''}`)
    expect(text).toMatch(/Interaction id [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/)
  })

  test('that a page asked for brings the person back to it, whichever flow', async () => {
    const page = await logIn(visitor(), example, '/hire?boat=7')
    expect([page.url, textOf(page.html).includes('The tiller is yours')]).toEqual([
      `${example.url}/hire?boat=7`,
      true,
    ])
  })

  test('of somebody who is too young does not open the page for adults', async () => {
    const browser = visitor()
    const young = { login: 'mikomo_20', password: 'mikomo_20' }
    const page = await logIn(browser, example, '/hire', young)
    expect([page.url, page.status]).toEqual([`${example.url}/too-young`, 403])
    expect(textOf(page.html)).toContain('21 and older')
    expect((await browser.open(`${example.url}/profile`)).status).toBe(200)
  })

  test.each([
    ['/?after=login', '/?after=login'],
    ['//stranger.example/', '/profile'],
    ['/\\stranger.example/', '/profile'],
    ['/\t/stranger.example/', '/profile'],
    ['https://stranger.example/', '/profile'],
    ['profile', '/profile'],
  ])('that was to return to %j returns to %s', async (returnTo, expected) => {
    const page = await logIn(visitor(), example, `/login?return_to=${encodeURIComponent(returnTo)}`)
    expect(page.url).toBe(example.url + expected)
  })

  test('has a cookie that neither a script nor a form of another site can use', async () => {
    const login = await fetch(`${example.url}/login`, { redirect: 'manual' })
    expect(login.headers.getSetCookie()).toHaveLength(1)
    expect(login.headers.getSetCookie()[0]).toMatch(/^quayside\.sid=[^;]+; Path=\/; HttpOnly; SameSite=Lax$/)
  })

  test('of an app at an https address gets a cookie for https alone', async () => {
    const secure = await startExample({ config: { callback: 'https://quayside.example/login/callback' } })
    try {
      const login = await fetch(`${secure.url}/login`, {
        redirect: 'manual',
        headers: { 'x-forwarded-proto': 'https' },
      })
      expect(login.status).toBe(302)
      // The prefix keeps it out of the way of the http set-up's cookie, and of cookies that neighbours set.
      expect(login.headers.getSetCookie()[0]).toMatch(
        /^__Host-quayside\.sid=[^;]+; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
      )
    } finally {
      await secure.close()
    }
  })

  test.each(['/', '/login?return_to=/profile', '/profile', '//stranger.example/'])(
    "that begins at another name of this machine, at %s, is led to the callback's host first",
    async (path) => {
      const response = await requestWithHost(`${example.url}${path}`, '127.0.0.1:3001')
      expect(response.statusCode).toBe(302)
      expect(response.headers.location).toBe(`${example.url}${path}`)
      expect(response.headers['set-cookie']).toBeUndefined()
    },
  )

  test('under another name still serves the keys, and takes a form as it comes', async () => {
    expect((await requestWithHost(`${example.url}/jwks`, '127.0.0.1:3001')).statusCode).toBe(200)
    const posted = await requestWithHost(`${example.url}/logout`, '127.0.0.1:3001', 'POST')
    expect(posted.statusCode).toBe(303)
  })

  test('behind a proxy that ends TLS is not led anywhere', async () => {
    const secure = await startExample({ config: { callback: 'https://quayside.example/login/callback' } })
    try {
      expect((await requestWithHost(`${secure.url}/`, 'internal:8080')).statusCode).toBe(200)
    } finally {
      await secure.close()
    }
  })

  test('in the direct flow begins with a list of banks that is its own, and tells them by their names', async () => {
    const direct = await startExample({ sandbox: { flow: 'direct' } })
    try {
      const browser = visitor()
      const picker = await browser.open(`${direct.url}/hire`)
      expect(picker.url).toBe(`${direct.url}/login?return_to=%2Fhire`)
      for (const { name } of direct.sandbox.banks) expect(textOf(picker.html)).toContain(name)
      expect(picker.html).not.toMatch(/<img[^>]+src="http|<script|<style|\sstyle=/)
      expect((await browser.open(`${direct.url}/bank-picker.css`)).headers.get('content-type')).toMatch(
        /^text\/css/,
      )
      const link = linkOf(picker, 'Mikomo Bank')
      expect(new URL(link).searchParams.get('iss')).toBe(direct.sandbox.banks[0]?.issuer)
      const consent = await browser.press(await browser.open(link), 'Log in', PERSONA)
      expect(textOf(consent.html)).toContain('Share this with Quayside?')
      expect((await browser.press(consent, 'Share and continue')).url).toBe(`${direct.url}/hire`)
      const profile = await browser.open(`${direct.url}/profile`)
      expect(textOf(profile.html)).toContain('This is what Mikomo Bank told us about you')
    } finally {
      await direct.close()
    }
  })

  test('in the direct flow with a bank that is not in the list is refused', async () => {
    const direct = await startExample({ sandbox: { flow: 'direct' } })
    try {
      const page = await visitor().open(`${direct.url}/login?iss=https://bank.example`)
      expect(page.status).toBe(403)
      expect(textOf(page.html)).toContain('Code provider_refused')
    } finally {
      await direct.close()
    }
  })

  test('is over after logging out, and at the bank as well for who wants that', async () => {
    const browser = visitor()
    const profile = await logIn(browser)
    const goodbye = await browser.press(profile, 'Log out')
    expect(textOf(goodbye.html)).toContain('Log out of Mikomo Bank too')
    const again = await browser.open(`${example.url}/profile`)
    expect(new URL(again.url).origin).toBe(new URL(example.sandbox.url).origin)
    const bank = await browser.open(linkOf(goodbye, 'Log out of'))
    expect((await browser.press(bank, 'Log out')).url).toBe(`${example.url}/`)
  })

  test('is over after logging out at the bank', async () => {
    const browser = visitor()
    await logIn(browser)
    const bank = await browser.open(`${example.sandbox.banks[0]?.issuer ?? ''}/session/end`)
    await browser.press(bank, 'Log out')
    expect((await browser.open(`${example.url}/`)).html).not.toContain('Log out')
  })

  test('is not ended by a link or a picture on another page', async () => {
    const browser = visitor()
    await logIn(browser)
    expect((await browser.open(`${example.url}/logout`)).status).toBe(404)
    expect((await browser.open(`${example.url}/profile`)).status).toBe(200)
  })

  test('survives the Back button', async () => {
    const browser = visitor()
    await logIn(browser)
    const callback = browser.visited.find((url) => url.includes('/login/callback')) ?? ''
    expect(await browser.open(callback)).toMatchObject({ url: `${example.url}/profile`, status: 200 })
  })
})

describe('the failure page', () => {
  test.each([
    ['the account selector', (browser: Browser, selector: Page) => browser.press(selector, 'Cancel')],
    [
      'the login page of the bank',
      async (browser: Browser, selector: Page) =>
        browser.press(await browser.press(selector, 'Mikomo Bank'), 'Cancel'),
    ],
    [
      'the consent page of the bank',
      async (browser: Browser, selector: Page) => {
        const login = await browser.press(selector, 'Mikomo Bank')
        return browser.press(await browser.press(login, 'Log in', PERSONA), 'Cancel')
      },
    ],
  ])('is where a cancel on %s leads, with a way back', async (_place, cancel) => {
    const browser = visitor()
    const page = await cancel(browser, await browser.open(`${example.url}/login`))
    expect(page.status).toBe(401)
    const text = textOf(page.html)
    expect(text).toContain('Login cancelled')
    expect(text).toContain('Code access_denied')
    expect(text).toMatch(/Interaction id [0-9a-f-]{36}/)
    expect(page.html).toContain('href="/login"')
    expect(page.html).toContain('role="alert"')
  })

  test('says of an answer that comes again after logging out that it is used up', async () => {
    const browser = visitor()
    const profile = await logIn(browser)
    const callback = browser.visited.find((url) => url.includes('/login/callback')) ?? ''
    await browser.press(profile, 'Log out')
    const page = await browser.open(callback)
    expect(page.status).toBe(401)
    expect(textOf(page.html)).toContain('Code login_missing Reason already_used')
  })

  test.each([
    ['an answer that is none', '/login/callback?response=nonsense', 401, 'response_invalid'],
    ['a bare code', '/login/callback?code=stolen', 401, 'response_invalid'],
    ['an address that is not ours', '/nothing-here', 404, 'not_found'],
  ])('answers %s', async (_what, path, status, code) => {
    const page = await visitor().open(example.url + path)
    expect(page.status).toBe(status)
    expect(textOf(page.html)).toContain(`Code ${code}`)
    expect(page.html).not.toContain('node_modules')
  })

  test.each(['forged_answer', 'id_token_expired', 'token_error', 'other_state'] as const)(
    'tells who is still logged in no otherwise (%s)',
    async (fault) => {
      const browser = visitor()
      await logIn(browser)
      example.sandbox.next({ fault })
      const text = textOf((await logIn(browser)).html)
      expect(text).toContain('You are still logged in')
      expect(text).not.toMatch(/not logged in/i)
    },
  )

  test('answers a form the same way as a link', async () => {
    const body = new URLSearchParams({ response: 'nonsense' })
    const page = await visitor().open(`${example.url}/login/callback`, { method: 'POST', body })
    expect(page.status).toBe(401)
    expect(textOf(page.html)).toContain('Code response_invalid')
  })

  test('answers a form that is far too large', async () => {
    const body = new URLSearchParams({ response: 'x'.repeat(200_000) })
    const page = await visitor().open(`${example.url}/login/callback`, { method: 'POST', body })
    expect(page.status).toBe(413)
    expect(textOf(page.html)).toContain('Code unexpected Message Payload Too Large')
  })

  test('answers a bank that is not trusted', async () => {
    const narrow = await startExample({ config: { trusted_issuers: ['https://bank.example'] } })
    try {
      const page = await logIn(visitor(), narrow)
      expect(page.status).toBe(403)
      expect(textOf(page.html)).toContain('Code provider_refused')
    } finally {
      await narrow.close()
    }
  })

  test('answers a platform that is down, and keeps the stack to the log', async () => {
    const logged = jest.spyOn(console, 'error').mockImplementation(() => undefined)
    const lonely = await startExample()
    try {
      await lonely.sandbox.close()
      const page = await visitor().open(`${lonely.url}/login`)
      expect(page.status).toBe(502)
      expect(textOf(page.html)).toContain('Code provider_unavailable')
      expect(page.html).not.toMatch(/\.ts:\d|node_modules/)
      expect(logged).toHaveBeenCalledTimes(1)
    } finally {
      logged.mockRestore()
      await lonely.close()
    }
  })

  test.each([
    ['provider_unavailable', true],
    ['config_invalid', false],
    ['not_found', false],
  ])('offers to try again only where that may help: %s', async (code, offered) => {
    const failure = { code, message: 'Message' }
    const html = await rendered('failure', { title: 'Title', advice: 'Advice', failure })
    expect(html.includes('Try again')).toBe(offered)
  })

  test('shows text that looks like markup as text', async () => {
    const hostile = `"><script>alert('x')</script><img src=x onerror=alert(1)>`
    const failure = {
      code: hostile,
      message: hostile,
      reason: hostile,
      providerError: hostile,
      interactionId: hostile,
    }
    const html = await rendered('failure', { title: hostile, advice: hostile, failure })
    expect(html).not.toContain('<script')
    expect(html).not.toContain('<img src=x')
    expect(html.split('&lt;script&gt;')).toHaveLength(9)
  })
})

describe('the profile page', () => {
  test('shows claims that look like markup as text', async () => {
    const hostile = '<b onclick="x">'
    const user = { claims: { name: hostile, iss: hostile }, bank: hostile, interactionId: hostile }
    const html = await rendered('profile', { user, ...claimLines({ ...user.claims, [hostile]: hostile }) })
    expect(html).not.toContain('<b ')
  })

  test('has readable values, those of the token apart', () => {
    const { person, login } = claimLines({
      sub: 'abc',
      exp: 0,
      age_over_18: false,
      birthdate: '0000-12-31',
      'vc.MockBankCredential': { type: 'MockBankCredential' },
      address: { street_address: '18 Alder Court', locality: 'Portland' },
    })
    expect(login.map(({ value }) => value)).toEqual(['abc', 'Thu, 01 Jan 1970 00:00:00 GMT'])
    expect(person.map(({ label, value }) => [label, value])).toEqual([
      ['Date of birth', '0000-12-31'],
      ['Address', '18 Alder Court\nPortland'],
      ['18 or older', 'No'],
      ['Vc.MockBankCredential', '{\n  "type": "MockBankCredential"\n}'],
    ])
    expect(claimLines({ birthdate: '1988-04-09' }).person[0]?.value).toBe('April 9, 1988')
  })
})

test('every page forbids scripts, frames and forms to elsewhere, and stays out of caches', async () => {
  for (const path of ['/', '/login/callback?response=nonsense', '/nothing-here']) {
    const { headers, html } = await visitor().open(example.url + path)
    expect(headers.get('content-security-policy')).toMatch(/^default-src 'none'; .*frame-ancestors 'none'$/)
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(html).not.toMatch(/<script|<style|\sstyle=|\son\w+=/)
  }
})

test('the public keys are public, and nothing else', async () => {
  const response = await fetch(`${example.url}/jwks`)
  const { keys } = (await response.json()) as { keys: Record<string, unknown>[] }
  expect(keys).toHaveLength(2)
  for (const key of keys) expect(Object.keys(key).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use'])
})

describe('development keys', () => {
  const posix = process.platform !== 'win32'
  const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777
  const warnings: string[] = []
  const warn = (line: string): void => void warnings.push(line)
  let home: string
  let folder: string

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'quayside-'))
    folder = join(home, '.keys')
    warnings.length = 0
  })
  afterEach(() => rm(home, { recursive: true }))

  test('are made once, for their owner alone', async () => {
    const made = await developmentKeys(folder, warn)
    expect(made.keys).toHaveLength(2)
    expect(await developmentKeys(folder, warn)).toEqual(made)
    if (posix) expect([await modeOf(folder), await modeOf(join(folder, 'jwks.json'))]).toEqual([0o700, 0o600])
    expect(warnings).toEqual([])
  })

  test('that others could read are taken from them, and the owner is told', async () => {
    if (!posix) return
    const path = join(folder, 'jwks.json')
    await developmentKeys(folder, warn)
    await chmod(folder, 0o755)
    await chmod(path, 0o644)
    await developmentKeys(folder, warn)
    expect([await modeOf(folder), await modeOf(path)]).toEqual([0o700, 0o600])
    expect(warnings).toEqual([expect.stringContaining('mode 755'), expect.stringContaining('mode 644')])
  })

  test('that are damaged are refused without being quoted', async () => {
    const path = join(folder, 'jwks.json')
    await developmentKeys(folder, warn)
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.slice(0, -100))
    await expect(developmentKeys(folder, warn)).rejects.toThrow(
      `${path} is not JSON; the file must hold a JWKS`,
    )
  })
})

describe('npm start', () => {
  let home: string
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'quayside-'))
  })
  afterEach(stopAll)
  afterAll(() => rm(home, { recursive: true }))

  test('--help lists every option', async () => {
    const { code, stdout } = await run(home, ['--help']).ended
    expect(code).toBe(0)
    for (const option of [
      '--flow',
      '--auth',
      '--port',
      '--host',
      '--sandbox-port',
      '--sandbox-host',
      '--help',
    ])
      expect(stdout).toContain(option)
  })

  test.each([
    ['an option it does not know', ['--fast'], {}, /Unknown option '--fast' \(--help lists the options\)/],
    [
      'a flow it does not know',
      ['--flow', 'sideways'],
      {},
      /--flow must be proxy or direct, and not "sideways"/,
    ],
    [
      'a method it does not know',
      ['--auth=none'],
      {},
      /--auth must be private_key_jwt or .*, and not "none"/,
    ],
    [
      'a port that is none',
      ['--port', '70000'],
      {},
      /the port must be a number up to 65535, and not "70000"/,
    ],
    [
      'a sandbox on another machine',
      ['--sandbox-host', 'example.com'],
      {},
      /--sandbox-host must be localhost or 127.0.0.1 or \[::1\], and not "example.com"/,
    ],
    ['a client id alone', [], { IDPARTNER_CLIENT_ID: 'x' }, /IDPARTNER_CALLBACK is not/],
    [
      'a callback alone',
      [],
      { IDPARTNER_CALLBACK: 'x' },
      /IDPARTNER_CALLBACK is set, but IDPARTNER_CLIENT_ID is not/,
    ],
    ['no keys', [], { IDPARTNER_CLIENT_ID: 'x', IDPARTNER_CALLBACK: 'x' }, /IDPARTNER_JWKS_FILE is not set/],
    [
      'a file of keys that is not there',
      [],
      {
        IDPARTNER_CLIENT_ID: 'x',
        IDPARTNER_CALLBACK: 'https://quayside.example/cb',
        IDPARTNER_JWKS_FILE: 'none.json',
      },
      /IDPARTNER_JWKS_FILE cannot be read: ENOENT/,
    ],
    [
      'options that the strategy refuses',
      ['--port', '0', '--flow', 'direct', '--auth', 'client_secret_basic'],
      { IDPARTNER_CLIENT_ID: 'x', IDPARTNER_CALLBACK: 'https://quayside.example/cb' },
      /option "trusted_issuers" is required/,
    ],
  ])('with %s says so in one line', async (_what, args, env, message) => {
    const { code, stdout, stderr } = await run(home, args, env).ended
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr.trimEnd()).not.toContain('\n')
  })

  test('on a port in use names the way out', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, 'localhost', resolve))
    const { port } = other.address() as AddressInfo
    const { code, stderr } = await run(home, ['--port', String(port)]).ended
    other.close()
    expect(code).toBe(1)
    expect(stderr).toBe(
      `passport-idpartner example: port ${String(port)} of localhost is in use; choose another with --port\n`,
    )
  })

  test('can put app and sandbox on two sites', async () => {
    const child = run(home, ['--port', '0', '--host', '127.0.0.1', '--sandbox-host', 'localhost'])
    const banner = await child.printed('Checked')
    expect(banner).toMatch(/App +http:\/\/127\.0\.0\.1:\d+\n/)
    expect(banner).toMatch(/Sandbox +http:\/\/localhost:\d+ /)
    expect(banner).toMatch(/Checked +all well \(node, /)
    const [url = ''] = /http:\S+/.exec(banner) ?? []
    expect((await visitor().open(`${url}/login`)).url).toMatch(/^http:\/\/localhost:\d+\/oidc-proxy\//)
    child.stop()
    expect(await child.ended).toMatchObject({ code: 0, stderr: '' })
  })

  test('warns of what would keep people from logging in, and runs on', async () => {
    const keys = join(home, '.keys')
    await developmentKeys(keys, () => undefined)
    const nobody = await unusedOrigin()
    const child = run(home, ['--port', '0'], {
      IDPARTNER_CLIENT_ID: 'quayside',
      IDPARTNER_CALLBACK: `${nobody}/login/callback`,
      IDPARTNER_JWKS_FILE: join(keys, 'jwks.json'),
      IDPARTNER_OIDC_PROXY_SERVICE_URL: `${nobody}/proxy`,
      IDPARTNER_TRUST_DIRECTORY_SERVICE_URL: `${nobody}/trust-directory`,
    })
    const banner = await child.printed('Checked')
    expect(banner).toMatch(/Checked +4 to look at, above \(node, /)
    const [url = ''] = /http:\S+/.exec(banner) ?? []
    expect((await fetch(`${url}/jwks`)).status).toBe(200)
    child.stop()
    const { code, stderr } = await child.ended
    expect(code).toBe(0)
    for (const what of ['WARN callback', 'FAIL published_keys', 'FAIL trust_directory', 'FAIL proxy'])
      expect(stderr).toContain(`${what}: `)
    expect(stderr).toMatch(/FAIL proxy: .*\n +→ check the spelling of its URL/)
  })

  test.each([
    ['by default', []],
    ['with a client secret', ['--flow', 'direct', '--auth', 'client_secret_basic']],
    ['with a signed assertion', ['--flow', 'direct', '--auth', 'private_key_jwt']],
    ['with a client certificate', ['--flow', 'direct', '--auth', 'tls_client_auth']],
  ])('brings a sandbox one can log in to %s, and ends when told to', async (_how, args) => {
    const child = run(home, ['--port', '0', ...args])
    const banner = await child.printed('Checked')
    expect(banner).toContain('as mikomo_10 with password mikomo_10')
    expect(banner).toMatch(/Checked +all well \(node, .*callback/)
    const [url = ''] = /http:\S+/.exec(banner) ?? []
    const browser = visitor()
    expect(textOf((await browser.open(url)).html)).toContain('You are in the sandbox')
    const selector = await browser.open(`${url}/login`)
    const login = args.includes('direct')
      ? await browser.open(linkOf(selector, 'Mikomo Bank'))
      : await browser.press(selector, 'Mikomo Bank')
    const consent = await browser.press(login, 'Log in', PERSONA)
    expect((await browser.press(consent, 'Share and continue')).url).toBe(`${url}/profile`)
    child.stop()
    expect(await child.ended).toMatchObject({ code: 0, stderr: '' })
  })
})

/** A request to the same server under another name. */
function requestWithHost(url: string, host: string, method = 'GET'): Promise<IncomingMessage> {
  const { origin } = new URL(url)
  return new Promise((resolve, reject) => {
    const sent = request(
      origin,
      { method, path: url.slice(origin.length), headers: { host } },
      (response) => {
        response.resume()
        resolve(response)
      },
    )
    sent.on('error', reject).end()
  })
}

function rendered(view: string, locals: object): Promise<string> {
  return new Promise((resolve, reject) => {
    example.app.render(view, locals, (err: Error | null, html: string) => {
      if (err) reject(err)
      else resolve(html)
    })
  })
}

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

const children = new Set<ChildProcess>()

/** Of a test that failed before it did. */
function stopAll(): void {
  for (const child of children) child.kill()
}

/** Runs server.ts as `npm start` does, in a folder of its own and with no environment but this. */
function run(cwd: string, args: string[], env: Record<string, string> = {}) {
  const root = join(import.meta.dirname, '..')
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  const child = spawn(process.execPath, ['--import', tsx, join(root, 'example-app/server.ts'), ...args], {
    cwd,
    env: { PATH: process.env.PATH, TSX_TSCONFIG_PATH: join(root, 'tsconfig.json'), ...env },
  })
  children.add(child)
  let stdout = ''
  let stderr = ''
  child.stderr.on('data', (chunk) => (stderr += String(chunk)))
  child.stdout.on('data', (chunk) => (stdout += String(chunk)))
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code) => {
      children.delete(child)
      resolve({ code, stdout, stderr })
    })
  })
  return {
    ended,
    stop: () => child.kill('SIGTERM'),
    printed: (text: string): Promise<string> =>
      new Promise((resolve, reject) => {
        child.stdout.on('data', () => {
          if (stdout.includes(text)) resolve(stdout)
        })
        child.on('close', () => {
          reject(new Error(`ended before it printed "${text}": ${stderr}`))
        })
      }),
  }
}
