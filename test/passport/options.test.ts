import { describe, expect, test } from '@jest/globals'
import type { LoginStore } from '../../lib/passport/logins.js'
import {
  loginOptions,
  resolveStrategyOptions,
  type IDPartnerStrategyOptions,
  type LoginOptions,
} from '../../lib/passport/options.js'
import { SessionLogins } from '../../lib/passport/session-logins.js'
import { pending } from '../support/login-store-contract.js'
import type { Verify } from '../../lib/passport/verify.js'
import { thrown } from '../support/thrown.js'

const verify: Verify = () => Promise.resolve({ id: 1 })

const store: LoginStore<object> = {
  save: () => Promise.resolve(),
  take: () => Promise.resolve('no_login'),
}

/** Each thing that a login may ask for. */
const everything: Required<LoginOptions> = {
  scope: ['openid'],
  claims: { id_token: { age_over_18: { essential: true } }, userinfo: { email: null } },
  prompt: 'consent',
  max_age: 0,
  acr_values: 'gold silver',
  login_hint: 'person@bank.example',
  ui_locales: 'de-CH en',
  id_token_hint: 'e30.e30.c2ln',
  display: 'touch',
  authorization_details: [{ type: 'payment_initiation', amount: { value: '10.00' } }, { type: 'other' }],
  purpose: 'to open an account',
  authorization_params: { authentication_context_type: 'APP_AUTHENTICATION_DEFAULT', loa: 2 },
}

const base = { client_id: 'app', callback: 'https://app.example/callback' }

const resolve = (options: object = {}): ReturnType<typeof resolveStrategyOptions<object>> =>
  resolveStrategyOptions<object>({ ...base, ...options }, verify)

describe('without options of its own', () => {
  test('the strategy has these', () => {
    const { name, settings, config } = resolve()
    expect(name).toBe('idpartner')
    expect(settings).toEqual({
      id: expect.stringMatching(/^[\w-]{11}$/),
      login: { scope: ['openid', 'email', 'profile'] },
      floor: undefined,
      callback: base.callback,
      routes: { startsElsewhere: false },
      loginTtl: 600,
      fetchUserInfo: false,
      logins: expect.any(SessionLogins),
      verifier: { verify: expect.any(Function), hint: undefined },
      tenant: undefined,
      receipt: false,
    })
    expect(config).toEqual(base)
  })

  test('an option that is undefined is one that is not there', () => {
    const names = ['name', 'sessionKey', 'loginTtl', 'passReqToCallback', 'fetchUserInfo', 'acceptProvider']
    const asked = Object.keys(everything)
    const undefineds = Object.fromEntries([...names, 'store', ...asked].map((name) => [name, undefined]))
    const { settings, ...others } = resolve()
    expect(resolve(undefineds)).toEqual({
      settings: { ...settings, verifier: { verify: expect.any(Function), hint: undefined } },
      ...others,
    })
  })
})

test('an essential acr of the claims is a floor as acr_values are', () => {
  const floorOf = (options: object): string | undefined => resolve(options).settings.floor
  const claims = { id_token: { acr: { essential: true, values: ['urn:acr:gold', 'urn:acr:silver'] } } }
  expect(floorOf({ claims })).toEqual(expect.any(String))
  expect(floorOf({ claims })).toBe(floorOf({ acr_values: 'urn:acr:gold urn:acr:silver' }))
  expect(floorOf({ claims: { id_token: { acr: { values: ['urn:acr:gold'] } } } })).toBeUndefined()
})

describe('an option is taken as it is:', () => {
  test.each<[string, unknown]>([
    ['loginTtl', 1],
    ['loginTtl', 86_400],
    ['fetchUserInfo', true],
    ['acceptProvider', () => true],
  ])('%s: %j', (name, value) => {
    const { settings, config } = resolve({ [name]: value })
    expect(settings).toHaveProperty(name, value)
    expect(config).toEqual(base)
  })

  test.each<[string, unknown]>([['scope', 'openid email'], ...Object.entries(everything)])(
    'for all logins: %s: %j',
    (name, value) => {
      const { settings, config } = resolve({ [name]: value })
      expect(settings.login).toEqual({ scope: ['openid', 'email', 'profile'], [name]: value })
      expect(config).toEqual(base)
    },
  )

  test('name', () => {
    expect(resolve({ name: 'bank' }).name).toBe('bank')
  })

  test('store, in place of the session', () => {
    const { settings } = resolve({ store })
    expect(settings.logins).toBe(store)
    expect(settings).not.toHaveProperty('store')
  })

  test.each([
    [{}, 'idpartner'],
    ...['bank', 'identity', 'passports', 'my-id', 'logins.save'].map(
      (sessionKey) => [{ sessionKey }, sessionKey] as const,
    ),
  ])('sessionKey, as the place in the session: %j', async (options, key) => {
    const { settings } = resolve(options)
    const session: Record<string, unknown> = {}
    await settings.logins.save({ session }, 's', pending('n'), 60)
    expect(Object.keys(session)).toEqual([key])
  })

  test('what the strategy does not know, for the client to judge', () => {
    const { config } = resolve({ timeout: 1, flow: 'direct', whatever: true, toString: 'x' })
    expect(config).toEqual({ ...base, timeout: 1, flow: 'direct', whatever: true, toString: 'x' })
  })
})

describe('an option is refused:', () => {
  test.each<[string, unknown, RegExp]>([
    ['name', '', /must not be empty/],
    ['name', 42, /must be a string/],
    ['scope', 42, /must be a string or a list of strings/],
    ['scope', ['openid', 42], /must be a string or a list of strings/],
    ['claims', 'email', /must be an object/],
    ['claims', null, /must be an object/],
    ['claims', ['email'], /must be an object/],
    ['claims', { idtoken: { email: null } }, /must have "id_token" and "userinfo" alone/],
    ['claims', { id_token: ['email'] }, /must have an object of claims as "id_token"/],
    ['claims', { userinfo: null }, /must have an object of claims as "userinfo"/],
    ['claims', { userinfo: { email: true } }, /must ask in "userinfo" for each claim with null or an object/],
    ['claims', { id_token: { email: [null] } }, /must ask in "id_token"/],
    ['claims', { id_token: { verified_claims: [null] } }, /must ask in "id_token"/],
    ['claims', { id_token: { email: { value: 1n } } }, /must be JSON/],
    ['prompt', ['consent'], /must be a string/],
    ['max_age', -1, /must not be negative/],
    ['max_age', 1.5, /whole number of seconds/],
    ['max_age', '600', /whole number of seconds/],
    ['acr_values', ['gold'], /must be a string/],
    ['login_hint', { email: 'a@b.example' }, /must be a string/],
    ['ui_locales', ['de', 'en'], /must be a string/],
    ['id_token_hint', {}, /must be a string/],
    ['display', 'tv', /must be "page", "popup", "touch" or "wap"/],
    ['authorization_details', { type: 'payment' }, /must be a list of objects, each with a "type"/],
    ['authorization_details', '[{"type":"payment"}]', /must be a list of objects/],
    ['authorization_details', [{ type: 'payment' }, {}], /must be a list of objects, each with a "type"/],
    ['authorization_details', [null], /must be a list of objects/],
    ['authorization_details', [{ type: 1 }], /must be a list of objects/],
    ['authorization_details', [{ type: '' }], /must be a list of objects/],
    ['authorization_details', [{ type: 'payment', amount: 1n }], /must be JSON/],
    ['purpose', 1, /must be a string/],
    ['sessionKey', '', /must not be empty or taken/],
    ...[
      '__proto__',
      'passport',
      'cookie',
      'id',
      'req',
      'save',
      'regenerate',
      'destroy',
      'reload',
      'touch',
      'resetMaxAge',
    ].map((taken) => ['sessionKey', taken, /must not be empty or taken/] as [string, unknown, RegExp]),
    ['sessionKey', 42, /must be a string/],
    ['loginTtl', 0, /at least 1 s/],
    ['loginTtl', 86_401, /at most a day/],
    ['loginTtl', '600', /number of seconds/],
    ['loginTtl', NaN, /number of seconds/],
    ['passReqToCallback', 'true', /must be true or false/],
    ['passReqToCallback', 1, /must be true or false/],
    ['fetchUserInfo', 'false', /must be true or false/],
    ['acceptProvider', true, /must be a function/],
    ['acceptProvider', ['Mikomo Bank'], /must be a function/],
    ['store', {}, /must have the functions save and take/],
    ['store', { save: () => undefined }, /must have the functions save and take/],
    ['store', { take: () => undefined }, /must have the functions save and take/],
    ['store', { save: true, take: true }, /must have the functions save and take/],
    ['store', null, /must have the functions save and take/],
    ['store', 'redis', /must have the functions save and take/],
  ])('%s: %j', (name, value, message) => {
    const err = thrown(() => resolve({ [name]: value }))
    expect(err).toMatchObject({ code: 'config_invalid', status: 500 })
    expect(err.message).toMatch(new RegExp(`^option "${name}" `))
    expect(err.message).toMatch(message)
  })

  test.each([['email profile'], ['openidconnect'], [''], [['email']], [[]]])(
    'a scope without openid: %j',
    (scope) => {
      expect(thrown(() => resolve({ scope }))).toMatchObject({
        code: 'config_invalid',
        message: expect.stringContaining('must include "openid"'),
      })
    },
  )

  test.each([[undefined], [null], ['text']])('no options at all: %j', (options) => {
    const call = (): unknown => resolveStrategyOptions(options as unknown as IDPartnerStrategyOptions, verify)
    expect(thrown(call)).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('options are required'),
    })
  })

  test.each([[undefined], [null], [{}], ['verify']])('no verify function: %j', (none) => {
    const call = (): unknown => resolveStrategyOptions(base, none as unknown as Verify)
    expect(thrown(call)).toMatchObject({
      code: 'config_invalid',
      message: 'the second argument must be the verify function',
    })
  })
})

describe("the caller's options", () => {
  test('stay as they were', () => {
    const options = { ...base, scope: ['openid'], name: 'bank', store }
    resolveStrategyOptions(options, verify)
    expect(options).toEqual({ ...base, scope: ['openid'], name: 'bank', store })
  })

  test('can be changed afterwards without effect', () => {
    const scope = ['openid']
    const { settings } = resolve({ scope })
    scope.push('payment_processing')
    expect(settings.login.scope).toEqual(['openid'])
    expect(Object.isFrozen(settings)).toBe(true)
  })
})

describe('what one request asks for', () => {
  const all = resolve({ ...everything, scope: 'openid', prompt: 'login' }).settings.login

  test('is what all ask for', () => {
    expect(loginOptions(all, {})).toEqual({ ...everything, scope: 'openid', prompt: 'login' })
    expect(loginOptions(all, { prompt: undefined })).toEqual(all)
  })

  test.each(Object.entries(everything))('or what it asks for itself: %s', (name, value) => {
    const { login } = resolve({}).settings
    expect(loginOptions(login, { [name]: value })).toEqual({ ...login, [name]: value })
    expect(loginOptions(all, { [name]: value })).toEqual({ ...all, [name]: value })
  })

  test('and nothing that is not asked for', () => {
    expect(loginOptions(all, { successRedirect: '/' } as LoginOptions)).toEqual(all)
  })
})

describe('an option of one login that does not belong there', () => {
  const { login: all } = resolve({}).settings

  test.each([
    'callback',
    'client_id',
    'jwks',
    'flow',
    'trusted_issuers',
    'timeout',
    'name',
    'sessionKey',
    'loginTtl',
    'store',
    'acceptProvider',
    'fetchUserInfo',
    'passReqToCallback',
  ])("is refused when it is the constructor's: %s", (name) => {
    expect(thrown(() => loginOptions(all, { [name]: 'x' }))).toMatchObject({
      code: 'config_invalid',
      message: `option "${name}" belongs to the constructor; for another value make a second strategy with a "name" of its own`,
    })
  })

  test.each([
    ['maxAge', 'max_age'],
    ['acrValues', 'acr_values'],
    ['acr_value', 'acr_values'],
    ['loginHint', 'login_hint'],
    ['uiLocales', 'ui_locales'],
    ['ui_locale', 'ui_locales'],
    ['idTokenHint', 'id_token_hint'],
    ['authorizationDetails', 'authorization_details'],
    ['scopes', 'scope'],
    ['Prompt', 'prompt'],
    ['clientID', 'client_id'],
    ['callbackURL', 'callback'],
    ['redirect_uri', 'callback'],
  ])('is refused when it is nearly the name of one: %s', (name, meant) => {
    const message = `option "${name}" is not a known option: it is called "${meant}" here`
    expect(thrown(() => loginOptions(all, { [name]: 'x' }))).toMatchObject({
      code: 'config_invalid',
      message,
    })
    expect(thrown(() => resolve({ [name]: 'x' }))).toMatchObject({ code: 'config_invalid', message })
  })

  test.each([
    'successRedirect',
    'successReturnToOrRedirect',
    'successFlash',
    'successMessage',
    'failureRedirect',
    'failureFlash',
    'failureMessage',
    'failWithError',
    'session',
    'keepSessionInfo',
    'assignProperty',
    'userProperty',
    'authInfo',
    'pauseStream',
    'property',
    'defaultStrategy',
    'whatever',
    'toString',
  ])("passes when it is Passport's or the host's: %s", (name) => {
    expect(loginOptions(all, { [name]: true })).toEqual(all)
  })

  test('is none when it is undefined', () => {
    expect(loginOptions(all, { callback: undefined, maxAge: undefined } as LoginOptions)).toEqual(all)
  })
})
