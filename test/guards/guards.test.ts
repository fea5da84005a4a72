import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createServer, request, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import connect from 'connect'
import express from 'express'
import session from 'express-session'
import { Passport } from 'passport'
import { IDPartnerError, IDPartnerStrategy } from 'passport-idpartner'
import {
  logIn,
  requireClaims,
  requireFresh,
  requireLogin,
  type GuardOptions,
  type Middleware,
} from 'passport-idpartner/guards'

const express4 = createRequire(import.meta.url)('express4') as () => unknown

type Use = (...middlewares: Middleware[]) => unknown
const hosts: Record<string, () => RequestListener & { use: Use }> = {
  'Express 5': () => express() as never,
  'Express 4': () => express4() as never,
  Connect: () => connect(),
}

/** Whoever the header says; what it says of the person stands for what a session holds. */
const userOfHeader: Middleware = (req, _res, next) => {
  const { 'x-user': user } = req.headers
  if (typeof user === 'string') Object.assign(req, { user: JSON.parse(user) as unknown })
  next()
}

const page: Middleware = (_req, res) => {
  res.end('the page')
}

const onError = (
  err: { code?: string; status?: number; headers?: object },
  _req: unknown,
  res: Parameters<Middleware>[1],
  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- hosts know an error handler by its four parameters
  _next: unknown,
): void => {
  res.statusCode = err.status ?? 500
  res.end(`error page: ${String(err.code)}`)
}

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

interface Answer {
  status: number | undefined
  headers: Record<string, string | string[] | undefined>
  body: string
}
type Ask = (path: string, init?: { method?: string; headers?: Record<string, string> }) => Promise<Answer>

/** An application with a guard in front of everything, and a browser with cookies that asks it byte for byte. */
async function serve(
  guards: Middleware | Middleware[],
  { host = 'Express 5', sessions = true, handlesErrors = true } = {},
): Promise<Ask> {
  const app = (hosts[host] ?? express)()
  const sessionMiddleware = session({ secret: 'test', resave: false, saveUninitialized: false })
  if (sessions) app.use(sessionMiddleware as unknown as Middleware)
  app.use(userOfHeader)
  for (const guard of [guards].flat()) app.use(guard)
  app.use(page)
  if (handlesErrors) app.use(onError as unknown as Middleware)
  const server = createServer(app)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const { port } = server.address() as AddressInfo
  let cookie = ''
  return async (path, { method = 'GET', headers = { accept: 'text/html' } } = {}) => {
    const asked = request({ port, host: '127.0.0.1', path, method, headers: { cookie, ...headers } })
    asked.end()
    const [res] = (await once(asked, 'response')) as [import('node:http').IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of res) chunks.push(chunk as Buffer)
    cookie = res.headers['set-cookie']?.[0]?.split(';')[0] ?? cookie
    return { status: res.statusCode, headers: res.headers, body: Buffer.concat(chunks).toString() }
  }
}

const as = (user: object, headers: Record<string, string> = { accept: 'text/html' }) => ({
  headers: { ...headers, 'x-user': JSON.stringify(user) },
})
const now = (): number => Math.floor(Date.now() / 1000)
const me = { iss: 'https://bank.example', sub: 'me' }

describe.each(Object.keys(hosts))('on %s', (host) => {
  test('somebody who opens a page is sent to log in, and told where from', async () => {
    const ask = await serve(requireLogin(), { host })
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await ask('/orders?page=2&of=a%20b', {
        method,
        headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8', 'sec-fetch-dest': 'document' },
      })
      expect(status).toBe(302)
      expect(headers['location']).toBe('/login?return_to=%2Forders%3Fpage%3D2%26of%3Da%2520b')
      expect(headers['cache-control']).toBe('no-store')
    }
  })

  test('somebody who is logged in sees the page', async () => {
    const ask = await serve(requireLogin(), { host })
    expect(await ask('/orders', as({ id: 1 }))).toMatchObject({ status: 200, body: 'the page' })
  })

  test('a script is told, and sent nowhere', async () => {
    const ask = await serve(requireLogin(), { host })
    const { status, headers, body } = await ask('/orders', { headers: { accept: 'application/json' } })
    expect(status).toBe(401)
    expect(headers).toMatchObject({
      'www-authenticate': 'Bearer realm="bank login"',
      'cache-control': 'no-store',
      'content-type': 'application/json; charset=utf-8',
    })
    expect(headers).not.toHaveProperty('location')
    expect(JSON.parse(body)).toEqual({
      error: 'login_required',
      error_description: 'please log in first',
      login: '/login',
    })
  })

  test('what is posted without a login goes to the error page, also where there is none of ours', async () => {
    for (const handlesErrors of [true, false]) {
      const ask = await serve(requireLogin(), { host, handlesErrors })
      const { status, headers, body } = await ask('/orders', { method: 'POST' })
      expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer realm="bank login"'])
      if (handlesErrors) expect(body).toBe('error page: access_denied')
    }
  })

  test('a login of long ago is made again, for scripts after RFC 9470', async () => {
    const ask = await serve(requireFresh({ max_age: 300, acr_values: 'urn:a urn:b' }), { host })
    const fresh = { ...me, auth_time: now() - 200, acr: 'urn:b' }
    expect(await ask('/', as(fresh))).toMatchObject({ status: 200 })
    expect(await ask('/', as({ user: 'any', claims: fresh }))).toMatchObject({ status: 200 })
    const stale = { ...fresh, auth_time: now() - 400 }
    const { status, headers } = await ask('/pay', as(stale, { accept: 'application/json' }))
    expect([status, headers['www-authenticate']]).toEqual([
      401,
      `Bearer realm="bank login", error="insufficient_user_authentication", error_description="please log in again: this needs a login that shows 'max_age' and 'acr_values'", max_age="300", acr_values="urn:a urn:b"`,
    ])
    expect((await ask('/pay', as(stale))).headers['location']).toBe('/login?return_to=%2Fpay&again=1')
  })
})

describe('back to where somebody was, and nowhere else', () => {
  test.each([
    ['a host after two slashes', '//evil.example/x'],
    ['a host after a slash and a backslash', '/\\evil.example/x'],
    ['a backslash further on', '/x\\..\\\\evil.example'],
    ['an absolute URL', 'http://evil.example/x'],
    ['something too long for a session', `/${'x'.repeat(2000)}`],
  ])('not to %s', async (_what, path) => {
    const ask = await serve(requireLogin())
    expect((await ask(path)).headers['location']).toBe('/login')
  })

  test('the login route of the options, with a query of its own', async () => {
    const ask = await serve(requireLogin({ login: '/account/login?from=guard' }))
    expect((await ask('/x')).headers['location']).toBe('/account/login?from=guard&return_to=%2Fx')
  })

  test.each(['/login', '/login?iss=https://bank.example', '/Login/'])(
    'a guard in front of all routes leaves %s open',
    async (path) => {
      const ask = await serve([requireLogin(), requireClaims({ age_over_21: true })])
      expect(await ask(path)).toMatchObject({ status: 200, body: 'the page' })
    },
  )
})

describe('somebody who is logged in', () => {
  test.each(['me', 7, true])('is so by whatever the application has for a user: %j', async (user) => {
    const ask = await serve(requireLogin())
    expect(await ask('/', as(user as never))).toMatchObject({ status: 200, body: 'the page' })
  })

  test('is not sent to log in by a guard that stands before Passport', async () => {
    const withUser: Middleware = (req, _res, next) => {
      Object.assign((req as unknown as { session: object }).session, { passport: { user: 'me' } })
      next()
    }
    const ask = await serve([withUser, requireLogin()])
    expect(await ask('/')).toMatchObject({ status: 500, body: 'error page: config_invalid' })
  })
})

describe('only a person who opens a page is sent to log in', () => {
  test.each<[string, string, Record<string, string>]>([
    ['a form that is posted', 'POST', { accept: 'text/html' }],
    ['a fetch of a script', 'GET', { accept: '*/*' }],
    ['a fetch for a part of a page', 'GET', { accept: 'text/html', 'sec-fetch-dest': 'empty' }],
    ['a frame', 'GET', { accept: 'text/html', 'sec-fetch-dest': 'iframe' }],
    ['a picture', 'GET', { accept: 'image/avif,image/webp,*/*', 'sec-fetch-dest': 'image' }],
    ['XMLHttpRequest', 'GET', { accept: 'text/html', 'x-requested-with': 'XMLHttpRequest' }],
    ['who prefers JSON', 'GET', { accept: 'application/json, text/html;q=0.9' }],
    ['who says nothing', 'GET', {}],
    ['a prefetch', 'GET', { accept: 'text/html', 'sec-purpose': 'prefetch' }],
    ['PUT', 'PUT', { accept: 'text/html' }],
  ])('not %s', async (_what, method, headers) => {
    for (const guard of [
      requireLogin(),
      requireClaims({ age_over_21: true }),
      requireFresh({ max_age: 9 }),
    ]) {
      const ask = await serve(guard)
      const answer = await ask('/x', { method, headers })
      expect(answer.status).toBe(401)
      expect(answer.headers).not.toHaveProperty('location')
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer realm="bank login"/)
    }
  })
})

describe('claims', () => {
  const guarded = (options?: GuardOptions): Promise<Ask> =>
    serve(requireClaims({ age_over_21: true, country: 'NL' }, options))
  const adult = { ...me, age_over_21: true, country: 'NL' }

  test('of the values wanted let somebody pass', async () => {
    const ask = await guarded()
    expect(await ask('/', as(adult))).toMatchObject({ status: 200 })
    expect(await ask('/', as({ id: 1, claims: adult }))).toMatchObject({ status: 200 })
  })

  test.each([
    ['false', { ...adult, age_over_21: false }],
    ['the text of it', { ...adult, age_over_21: 'true' }],
    ['a truthy number', { ...adult, age_over_21: 1 }],
    ['an object', { ...adult, age_over_21: {} }],
    ['another text', { ...adult, country: 'nl' }],
  ])('that are %s are refused at once: no login would change them', async (_what, user) => {
    const ask = await guarded()
    expect(await ask('/', as(user))).toMatchObject({ status: 403, body: 'error page: access_denied' })
    const { status, body, headers } = await ask('/', as(user, { accept: 'application/json' }))
    expect([status, JSON.parse(body)]).toMatchObject([403, { error: 'access_denied' }])
    expect(headers).not.toHaveProperty('www-authenticate')
  })

  test('that are inherited count for nothing', async () => {
    const ask = await serve(requireClaims({ toString: true, constructor: 'x' }))
    expect((await ask('/', as(me))).status).toBe(302)
  })

  test('that are refused lead to the page of the application, which is no loop', async () => {
    const ask = await guarded({ page: '/too-young' })
    const young = as({ ...adult, age_over_21: false })
    expect(await ask('/wine', young)).toMatchObject({ status: 302, headers: { location: '/too-young' } })
    expect(await ask('/too-young?x', young)).toMatchObject({ status: 403 })
    expect(await ask('/wine', { ...young, method: 'POST' })).toMatchObject({ status: 403 })
  })

  test.each([
    ['missing', { ...me, country: 'NL' }],
    ['null', { ...me, country: 'NL', age_over_21: null }],
  ])('that are %s are asked for in a login', async (_what, user) => {
    const ask = await guarded()
    expect((await ask('/wine', as(user))).headers['location']).toBe('/login?return_to=%2Fwine&again=1')
  })

  test('that stay away are not asked for again and again, whatever the login route does', async () => {
    const ask = await guarded()
    const statuses = []
    for (let visit = 0; visit < 5; visit++) statuses.push((await ask('/wine', as(me))).status)
    expect(statuses).toEqual([302, 302, 302, 403, 403])
    expect((await ask('/wine', as(adult))).status).toBe(200)
    // Met once, and so to be asked for anew.
    expect((await ask('/wine', as(me))).status).toBe(302)
  })

  test('may be named by a URI', async () => {
    const name = 'https://id.example/claim/personalIdentityNumber'
    const ask = await serve(requireClaims({ [name]: '1' }))
    expect((await ask('/', as({ ...me, [name]: '1' }))).status).toBe(200)
    expect((await ask('/', as({ ...me, [name]: '2' }))).status).toBe(403)
  })

  test('are where the application says they are', async () => {
    const claims = (user: { id: string }) =>
      Promise.resolve(user.id === 'adult' ? { ...adult } : { ...me, age_over_21: false })
    const ask = await guarded({ claims })
    expect((await ask('/', as({ id: 'adult' }))).status).toBe(200)
    expect((await ask('/', as({ id: 'other' }))).status).toBe(403)
  })

  test.each<[string, GuardOptions['claims']]>([
    ['returns nothing', () => undefined],
    [
      'throws',
      () => {
        throw new IDPartnerError('config_invalid', 'no database')
      },
    ],
    ['rejects', () => Promise.reject(new IDPartnerError('config_invalid', 'no database'))],
  ])('of a function that %s are an error, and nobody passes', async (_what, claims) => {
    const ask = await guarded({ claims })
    expect(await ask('/', as(adult))).toMatchObject({ status: 500, body: 'error page: config_invalid' })
  })

  test('of a function that never answers end the request', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] })
    try {
      const next = jest.fn()
      const never: GuardOptions = { claims: () => new Promise(() => undefined) }
      requireClaims({ age_over_21: true }, never)({ headers: {}, user: {} } as never, {} as never, next)
      await jest.advanceTimersByTimeAsync(5000)
      const message = expect.stringContaining('"claims"')
      expect(next.mock.calls).toEqual([[expect.objectContaining({ code: 'config_invalid', message })]])
    } finally {
      jest.useRealTimers()
    }
  })

  test('make no session for a script that has none', async () => {
    const ask = await guarded()
    const { headers } = await ask('/', { headers: { accept: 'application/json' } })
    expect(headers).not.toHaveProperty('set-cookie')
  })

  test('need a session to be asked for in', async () => {
    const ask = await serve(requireClaims({ age_over_21: true }), { sessions: false })
    expect(await ask('/')).toMatchObject({ status: 500, body: 'error page: config_invalid' })
  })
})

describe('a login', () => {
  test.each<[string, object]>([
    ['that is too old', { auth_time: now() - 1000 }],
    ['that is still to come', { auth_time: now() + 1000 }],
    ['of which nobody knows when it was', {}],
    ['whose time is text', { auth_time: String(now()) }],
  ])('%s is not fresh', async (_what, claims) => {
    const ask = await serve(requireFresh({ max_age: 300 }))
    expect((await ask('/', as({ ...me, ...claims }))).status).toBe(302)
  })

  test.each<[string, object]>([
    ['another way', { acr: 'urn:c' }],
    ['ways together', { acr: 'urn:a urn:b' }],
    ['no way at all', {}],
    ['a list', { acr: ['urn:a'] }],
  ])('by %s is not strong', async (_what, claims) => {
    const ask = await serve(requireFresh({ acr_values: 'urn:a urn:b' }))
    expect((await ask('/', as({ ...me, ...claims }))).status).toBe(302)
  })
})

describe('the way to log in and back from a router below a path', () => {
  test.each(Object.keys(hosts))('is the whole one on %s', async (host) => {
    const app = (hosts[host] ?? express)() as unknown as { use: (path: string, one: Middleware) => unknown }
    app.use('/shop', userOfHeader)
    app.use('/shop', requireClaims({ age_over_21: true }, { page: '/shop/too-young', login: '/auth/login' }))
    app.use('/shop', page)
    const ask = await serve(app as unknown as Middleware, { host })
    expect((await ask('/shop/wine?x=1')).headers['location']).toBe(
      '/auth/login?return_to=%2Fshop%2Fwine%3Fx%3D1',
    )
    const young = as({ ...me, age_over_21: false })
    expect((await ask('/shop/wine', young)).headers['location']).toBe('/shop/too-young')
    expect(await ask('/shop/too-young', young)).toMatchObject({ status: 403 })
    // What is the login route below the path only is no login route.
    expect((await ask('/shop/auth/login')).status).toBe(302)
  })
})

test('an answer that somebody has sent already is an error of the host, and hangs nothing', async () => {
  const answered: Middleware = (_req, res, next) => {
    res.write('early')
    next()
  }
  const errors: unknown[] = []
  const ask = await serve([
    answered,
    (req, res, next) => {
      requireLogin()(req, res, (err) => {
        errors.push((err as { code?: string }).code)
        res.end()
        if (!err) next()
      })
    },
  ])
  expect(await ask('/orders')).toMatchObject({ status: 200, body: 'early' })
  expect(errors).toEqual(['ERR_HTTP_HEADERS_SENT'])
})

test('HEAD is answered without a body, for scripts as well', async () => {
  const ask = await serve(requireLogin())
  const { status, body, headers } = await ask('/orders', {
    method: 'HEAD',
    headers: { accept: 'application/json' },
  })
  expect([status, body, headers['www-authenticate']]).toEqual([401, '', 'Bearer realm="bank login"'])
})

describe('a mistake in the options is found when the application starts', () => {
  test.each([
    ...['//evil.example', '/\\evil.example', '\\/evil.example', '/\t//evil.example', '\t//evil.example'],
    ...['https:evil.example', 'https://evil.example', 'evil.example', ' /x', '/x y', '', '?x', '.'],
    ...['/\u2215evil', '/\u0000', '/x\r\nSet-Cookie: a=b', `/${'x'.repeat(1000)}`],
  ])('no guard sends anybody to %j', (path) => {
    for (const make of [
      () => requireLogin({ login: path }),
      () => requireLogin({ page: path }),
      () => requireClaims({ age_over_21: true }, { page: path }),
      () => requireFresh({ max_age: 300 }, { login: path }),
      () => logIn({ authenticate: () => undefined }, {} as never, { home: path }),
    ]) {
      expect(make).toThrow(expect.objectContaining({ code: 'config_invalid' }))
    }
  })

  const strategy = new IDPartnerStrategy(
    {
      client_id: 'guarded',
      callback: 'https://app.example/callback',
      flow: 'direct',
      trusted_issuers: ['https://bank.example'],
      token_endpoint_auth_method: 'client_secret_basic',
      client_secret: 'secret',
    },
    () => false,
  )

  test.each<[string, () => unknown]>([
    ['login', () => requireLogin({ login: 'https://evil.example' })],
    ['login', () => requireLogin({ login: '//evil.example' })],
    ['page', () => requireLogin({ page: 'too-young' })],
    ['claims', () => requireLogin({ claims: {} as never })],
    ['Login', () => requireLogin({ Login: '/login' } as never)],
    ['claims', () => requireClaims({})],
    ['claims', () => requireClaims(undefined as never)],
    ['claims', () => requireClaims(null as never)],
    ['claims', () => requireClaims('age_over_21' as never)],
    ['claims', () => requireClaims(['age_over_21'] as never)],
    ['login', () => requireLogin({ login: '/login#form' })],
    ['login', () => requireLogin('/login' as never)],
    ['login', () => requireLogin(null as never)],
    ['it is called "max_age" here', () => requireFresh({ maxAge: 300 } as never)],
    ['it is called "login" here', () => requireLogin({ log_in: '/login' } as never)],
    ['max_age', () => requireFresh(undefined as never)],
    ['max_age', () => requireFresh(300 as never)],
    ['logIn(passport, strategy)', () => logIn(undefined as never, undefined as never)],
    ['logIn(passport, strategy)', () => logIn(new Passport(), 'idpartner' as never)],
    ['logIn(passport, strategy)', () => logIn(new Passport(), strategy.client as never)],
    ['logIn(passport, strategy)', () => logIn(strategy, new Passport() as never)],
    ['logIn(passport, strategy)', () => logIn(strategy, strategy)],
    ['home', () => logIn(new Passport(), strategy, '/home' as never)],
    ['claims', () => requireClaims({ age_over_21: undefined as never })],
    ['claims', () => requireClaims({ 'a"b': true })],
    ['claims', () => requireClaims({ age: NaN })],
    ['max_age', () => requireFresh({})],
    ['max_age', () => requireFresh({ max_age: 0 })],
    ['max_age', () => requireFresh({ max_age: 1.5 })],
    ['acr_values', () => requireFresh({ acr_values: 'a"b' })],
    ['acr_values', () => requireFresh({ acr_values: 'a\r\nb' })],
    ['acr_values', () => requireFresh({ acr_values: '' })],
  ])('%s', (name, make) => {
    expect(make).toThrow(
      expect.objectContaining({ code: 'config_invalid', message: expect.stringContaining(name) }),
    )
  })
})
