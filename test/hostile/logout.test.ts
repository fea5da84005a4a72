import { once } from 'node:events'
import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import { describe, expect, test } from '@jest/globals'
import connect from 'connect'
import { concerns, logoutRouter, type BankLogout, type LogoutRouterOptions } from 'passport-idpartner/logout'
import { appended, fromNow, set, without, type JwtBend } from '../support/bends.js'
import { listen } from '../support/listen.js'
import { startScene, useScenes, type Scene, type SceneOptions } from '../support/scene.js'
import { jwtRows } from './jwt-rows.js'

useScenes()

interface Answer {
  status: number | undefined
  headers: IncomingMessage['headers']
  body: string
}

interface Bank {
  scene: Scene
  logouts: BankLogout[]
  errors: unknown[]
  ask: (headers: Record<string, string>) => ClientRequest
  post: (body: string | Buffer, headers?: Record<string, string>) => Promise<Answer>
  close: () => Promise<void>
}

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

/** An application in which somebody has logged in at bankA, which is thereby known, and a bank that calls it. */
async function bank(options: Partial<LogoutRouterOptions> = {}, sceneOptions?: SceneOptions): Promise<Bank> {
  const scene = await startScene(sceneOptions)
  await scene.visitor.finish(await scene.visitor.begin())
  const logouts: BankLogout[] = []
  const errors: unknown[] = []
  const server = await listen()
  const app = connect()
  app.use(
    logoutRouter(scene.strategy.client, {
      onLogout: (logout) => logouts.push(logout),
      onError: (err) => errors.push(err),
      ...options,
    }),
  )
  server.serve(app)
  const ask = (headers: Record<string, string>): ClientRequest =>
    request(`${server.url}/backchannel-logout`, { method: 'POST', headers }).on('error', () => undefined)
  return {
    scene,
    logouts,
    errors,
    ask,
    post: async (body, headers = FORM) => {
      const asked = ask(headers)
      asked.end(body)
      const [res] = (await once(asked, 'response')) as [IncomingMessage]
      const chunks: Buffer[] = []
      for await (const chunk of res) chunks.push(chunk as Buffer)
      return { status: res.statusCode, headers: res.headers, body: Buffer.concat(chunks).toString() }
    },
    close: () => server.close(),
  }
}

const form = (logout_token: string): string => new URLSearchParams({ logout_token }).toString()

/** Nothing is logged out, the bank hears no reason, and its genuine word still counts. */
async function expectRefused(
  { scene, logouts, errors, post, close }: Bank,
  body: string,
  code: string,
  message?: RegExp,
): Promise<void> {
  try {
    expect(await post(body)).toMatchObject({
      status: 400,
      body: '{"error":"invalid_request"}',
      headers: { 'cache-control': 'no-store', 'content-type': 'application/json' },
    })
    expect(logouts).toEqual([])
    expect(errors).toEqual([expect.objectContaining({ code })])
    if (message) expect((errors[0] as Error).message).toMatch(message)
    expect(await post(form(await scene.platform.bankA.logoutToken({ sub: 'genuine' })))).toMatchObject({
      status: 200,
      headers: { 'cache-control': 'no-store' },
    })
    expect(logouts).toMatchObject([{ sub: 'genuine' }])
  } finally {
    await close()
  }
}

describe('a logout token is refused when', () => {
  test.each(jwtRows)('$name', async ({ bend, message }) => {
    const one = await bank()
    const token = await one.scene.platform.bankA.logoutToken({ sub: 'me' }, bend('bankA'))
    await expectRefused(one, form(token), 'token_invalid', message)
  })

  test.each<{ name: string; bend: JwtBend; message?: RegExp }>([
    {
      name: 'its "typ" is that of an access token',
      bend: { header: set({ typ: 'at+jwt' }) },
      message: /"typ"/,
    },
    {
      name: 'its "typ" is that of another event',
      bend: { header: set({ typ: 'secevent+jwt' }) },
      message: /"typ"/,
    },
    {
      name: 'it is an ID token, by a "typ" that says nothing',
      bend: { header: set({ typ: 'JWT' }), claims: without('events') },
      message: /"events"/,
    },
    { name: 'its "typ" begins with the right one', bend: { header: set({ typ: 'logout+jwt2' }) } },
    { name: 'its "iat" is missing', bend: { claims: without('iat') }, message: /"iat"/ },
    { name: 'it was issued eleven minutes ago', bend: { claims: fromNow({ iat: -660 }) }, message: /"iat"/ },
    { name: 'it was issued a minute from now', bend: { claims: fromNow({ iat: 60 }) }, message: /clock/ },
    { name: 'its "jti" is missing', bend: { claims: without('jti') }, message: /"jti"/ },
    { name: 'its "jti" is empty', bend: { claims: set({ jti: '' }) }, message: /"jti"/ },
    { name: 'its "jti" is a number', bend: { claims: set({ jti: 7 }) }, message: /"jti"/ },
    { name: 'its "jti" is a long text', bend: { claims: set({ jti: 'x'.repeat(256) }) }, message: /"jti"/ },
    { name: 'its "events" are missing', bend: { claims: without('events') }, message: /"events"/ },
    {
      name: 'its "events" are others',
      bend: { claims: set({ events: { other: {} } }) },
      message: /"events"/,
    },
    { name: 'its "events" are a list', bend: { claims: set({ events: [EVENT] }) }, message: /"events"/ },
    {
      name: 'its event is a text',
      bend: { claims: set({ events: { [EVENT]: 'yes' } }) },
      message: /"events"/,
    },
    { name: 'its event is null', bend: { claims: set({ events: { [EVENT]: null } }) }, message: /"events"/ },
    { name: 'it has a "nonce"', bend: { claims: set({ nonce: 'x' }) }, message: /"nonce"/ },
    { name: 'it has a "nonce" that is null', bend: { claims: set({ nonce: null }) }, message: /"nonce"/ },
    { name: 'it names nobody', bend: { claims: without('sub') }, message: /neither "sub" nor "sid"/ },
    { name: 'its "sub" is empty', bend: { claims: set({ sub: '' }) }, message: /"sub"/ },
    { name: 'its "sub" is an object', bend: { claims: set({ sub: {} }) }, message: /"sub"/ },
    { name: 'its "sid" is a list', bend: { claims: set({ sid: ['me'] }) }, message: /"sid"/ },
    { name: 'its "sid" is empty beside a "sub"', bend: { claims: set({ sid: '' }) }, message: /"sid"/ },
    { name: 'it is encrypted to somebody else', bend: { seal: appended('iss') }, message: /issuer/ },
  ])('$name', async ({ bend, message }) => {
    const one = await bank()
    const token = await one.scene.platform.bankA.logoutToken({ sub: 'me' }, bend)
    await expectRefused(one, form(token), 'token_invalid', message)
  })

  test('it is an ID token', async () => {
    const one = await bank()
    const { id_token = '' } = one.scene.logins[0]?.tokens ?? {}
    await expectRefused(one, form(id_token), 'token_invalid', /"jti"|"events"/)
  })

  test('it is of a bank that nobody vouched for, which is not asked for its keys', async () => {
    const one = await bank()
    const token = await one.scene.platform.bankB.logoutToken({ sub: 'me' })
    await expectRefused(one, form(token), 'token_invalid', /"iss"/)
    expect(one.scene.platform.requests.filter((name) => name.startsWith('bankB'))).toEqual([])
  })

  test('it is of a bank that "trusted_issuers" does not name', async () => {
    const one = await bank({}, { flow: 'direct' })
    const platform = one.scene.platform
    const token = await platform.bankA.logoutToken(
      { sub: 'me' },
      { claims: set({ iss: 'https://evil.example' }) },
    )
    await expectRefused(one, form(token), 'token_invalid', /"iss"/)
  })
})

describe('what is posted for a logout is refused when', () => {
  test.each<[string, (token: string) => string]>([
    ['it is empty', () => ''],
    ['it has no token', () => 'token=x'],
    ['its token is empty', () => 'logout_token='],
    ['it has two tokens', (token) => `${form(token)}&${form(token)}`],
    ['its token is longer than 64 KiB', () => form('x'.repeat(65 * 1024))],
    ['it is longer than 64 KiB', (token) => `${form(token)}&x=${'x'.repeat(65 * 1024)}`],
  ])('%s', async (_what, bodyOf) => {
    const one = await bank()
    const { errors } = one
    await expectRefused(
      one,
      bodyOf(await one.scene.platform.bankA.logoutToken({ sub: 'me' })),
      bodyOf('x') === 'logout_token=' ? 'token_invalid' : 'response_invalid',
    )
    expect(errors).toHaveLength(1)
  })

  test.each([
    ['JSON', 'application/json'],
    ['text', 'text/plain'],
    ['of no type', ''],
  ])('it is %s', async (_what, type) => {
    const { post, logouts, errors, close, scene } = await bank()
    const token = await scene.platform.bankA.logoutToken({ sub: 'me' })
    expect(await post(form(token), type ? { 'content-type': type } : {})).toMatchObject({ status: 400 })
    expect([logouts, errors]).toMatchObject([[], [{ code: 'response_invalid' }]])
    await close()
  })

  test('it goes on without an end', async () => {
    const { errors, close, scene, post } = await bank()
    // Chunked, so that nobody knows beforehand how much it is.
    const answer = await post(Buffer.alloc(300 * 1024, 'x'), { ...FORM, 'transfer-encoding': 'chunked' })
    expect(answer).toMatchObject({ status: 400, headers: { connection: 'close' } })
    expect(errors).toMatchObject([{ code: 'response_invalid' }])
    expect(scene.platform.count('bankA.jwks')).toBe(1)
    await close()
  })
})

describe('what never ends, ends', () => {
  test.each<[string, (asked: ClientRequest) => unknown]>([
    [
      'a form that never comes',
      (asked) => {
        asked.flushHeaders()
      },
    ],
    ['a form that stops in the middle', (asked) => asked.write('logout_token=')],
  ])('%s', async (_what, send) => {
    const { errors, logouts, close, ask } = await bank({}, { strategy: { timeout: 1000 } })
    const asked = ask({ ...FORM, 'content-length': '100' })
    send(asked)
    const [res] = (await once(asked, 'response')) as [IncomingMessage]
    expect([res.statusCode, res.headers.connection]).toEqual([400, 'close'])
    expect([errors.length, logouts]).toEqual([1, []])
    await close()
  })

  test('a bank that hangs up', async () => {
    let hear: (err: unknown) => void = () => undefined
    const heard = new Promise<unknown>((resolve) => (hear = resolve))
    const { logouts, close, ask } = await bank({ onError: hear })
    const asked = ask({ ...FORM, 'content-length': '100' })
    asked.write('logout_token=', () => asked.destroy())
    expect(await heard).toMatchObject({ code: 'response_invalid' })
    expect(logouts).toEqual([])
    await close()
  })
})

test.each<[string, () => unknown]>([
  [
    'throws',
    () => {
      throw new Error('the log is full')
    },
  ],
  ['rejects', () => Promise.reject(new Error('the log is full'))],
])('an "onError" that %s ends neither the answer nor the process', async (_how, onError) => {
  const unhandled: unknown[] = []
  const listener = (reason: unknown): void => void unhandled.push(reason)
  process.on('unhandledRejection', listener)
  const { post, close } = await bank({ onError })
  expect(await post('x')).toMatchObject({ status: 400 })
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', listener)
  expect(unhandled).toEqual([])
  await close()
})

describe('a logout token counts once', () => {
  test('in each process; in another one it ends no login that came after it', async () => {
    const one = await bank()
    const other = await bank({}, { platform: one.scene.platform })
    const token = form(await one.scene.platform.bankA.logoutToken({ sub: 'me' }))
    for (const { post } of [one, other]) expect((await post(token)).status).toBe(200)
    const [first, second] = [one.logouts[0], other.logouts[0]]
    expect(second).toEqual(first)
    if (!second) throw new Error('nothing was heard')
    const login = { iss: second.issuer, sub: 'me' }
    expect(concerns(second, { ...login, iat: second.iat })).toBe(true)
    expect(concerns(second, { ...login, iat: second.iat + 1 })).toBe(false)
    await Promise.all([one.close(), other.close()])
  })

  test('one after the other, and at the same moment', async () => {
    const { post, logouts, errors, close, scene } = await bank()
    const token = form(await scene.platform.bankA.logoutToken({ sub: 'me' }))
    const statuses = await Promise.all([post(token), post(token), post(token)])
    expect(statuses.map(({ status }) => status).sort()).toEqual([200, 400, 400])
    expect(await post(token)).toMatchObject({ status: 400, body: '{"error":"invalid_request"}' })
    expect(logouts).toHaveLength(1)
    expect(errors).toMatchObject([{ code: 'token_invalid' }, {}, {}])
    await close()
  })

  test('and again when the application failed: the bank may send it once more', async () => {
    let fail = true
    const onLogout = (): void => {
      if (fail) throw new Error('the session store is down')
    }
    const { post, errors, close, scene } = await bank({ onLogout })
    const token = form(await scene.platform.bankA.logoutToken({ sub: 'me' }))
    expect(await post(token)).toMatchObject({ status: 400, body: '{"error":"invalid_request"}' })
    expect(errors).toMatchObject([{ message: 'the session store is down' }])
    fail = false
    expect(await post(token)).toMatchObject({ status: 200, body: '' })
    await close()
  })
})
