import { expect, test } from '@jest/globals'
import type { LoginStore, PendingLogin } from 'passport-idpartner'
import { MINUTE, travel } from './clock.js'

/** A store as an application would set it up, and the requests of two browsers. */
export interface StoreUnderTest<Req> {
  store: LoginStore<Req>
  /** A request of one browser; each has the same session as the one before. */
  request: () => Req
  /** A request of another browser. */
  other: () => Req
}

/** Whose logins they are. */
export const STRATEGY = 'a-strategy'

export const pending = (nonce: string): PendingLogin => ({
  nonce,
  codeVerifier: `verifier of ${nonce}`,
  interactionId: '5d2fba33-5b5c-4a3e-8d1b-3f1d6cfdb6a4',
  strategy: STRATEGY,
  begun: 1_760_000_000,
})

const TTL = 600

/**
 * What every {@link LoginStore} has to do, as tests; call it inside a `describe`.
 *
 * @param start makes a new, empty store
 */
export function loginStoreContract<Req>(
  start: () => StoreUnderTest<Req> | Promise<StoreUnderTest<Req>>,
): void {
  test('a login that was saved can be taken', async () => {
    const { store, request } = await start()
    await store.save(request(), 'state', pending('a'), TTL)
    await expect(store.take(request(), 'state')).resolves.toEqual(pending('a'))
  })

  test('everything that was saved comes back', async () => {
    const { store, request } = await start()
    const login: PendingLogin = {
      ...pending('a'),
      issuer: 'https://bank.example',
      max_age: 0,
      acr_values: 'gold silver',
      floor: 'a-floor',
      sameRoute: true,
      state: { returnTo: '/orders?page=2', items: [1, null, 'ü'] },
    }
    await store.save(request(), 'state', login, TTL)
    await expect(store.take(request(), 'state')).resolves.toEqual(login)
  })

  test('a login can be taken once', async () => {
    const { store, request } = await start()
    await store.save(request(), 'state', pending('a'), TTL)
    await store.take(request(), 'state')
    await expect(store.take(request(), 'state')).resolves.toEqual(expect.any(String))
  })

  test('a login can be taken once by requests at the same time', async () => {
    const { store, request } = await start()
    await store.save(request(), 'state', pending('a'), TTL)
    const taken = await Promise.all(Array.from({ length: 5 }, () => store.take(request(), 'state')))
    expect(taken.filter((one) => typeof one === 'object')).toEqual([pending('a')])
  })

  test('logins of several tabs do not disturb each other', async () => {
    const { store, request } = await start()
    await store.save(request(), 'first', pending('a'), TTL)
    await store.save(request(), 'second', pending('b'), TTL)
    await expect(store.take(request(), 'first')).resolves.toEqual(pending('a'))
    await expect(store.take(request(), 'second')).resolves.toEqual(pending('b'))
  })

  test('a login that nobody began is not there', async () => {
    const { store, request } = await start()
    await store.save(request(), 'state', pending('a'), TTL)
    await expect(store.take(request(), 'another')).resolves.toBe('no_login')
    await expect(store.take(request(), '__proto__')).resolves.toBe('no_login')
    await expect(store.take(request(), '')).resolves.toBe('no_login')
    await expect(store.take(request(), 'state')).resolves.toEqual(pending('a'))
  })

  test('a login of one browser is not there for another', async () => {
    const { store, request, other } = await start()
    await store.save(request(), 'state', pending('a'), TTL)
    await expect(store.take(other(), 'state')).resolves.toEqual(expect.any(String))
    await expect(store.take(request(), 'state')).resolves.toEqual(pending('a'))
  })

  test('a login is there for all of its time, and not longer', async () => {
    const { store, request } = await start()
    await store.save(request(), 'first', pending('a'), TTL)
    await store.save(request(), 'second', pending('b'), TTL)
    travel(9.9 * MINUTE)
    await expect(store.take(request(), 'first')).resolves.toEqual(pending('a'))
    travel(0.2 * MINUTE)
    expect(['expired', 'no_login']).toContain(await store.take(request(), 'second'))
  })

  test('a look leaves the login there', async () => {
    const { store, request } = await start()
    if (!store.peek) return
    expect(['no_login', 'no_session']).toContain(await store.peek(request(), undefined))
    await store.save(request(), 'state', pending('a'), TTL)
    await expect(store.peek(request(), 'state')).resolves.toEqual(pending('a'))
    await expect(store.peek(request(), undefined)).resolves.toEqual(pending('a'))
    await expect(store.peek(request(), 'another')).resolves.toBe('no_login')
    await expect(store.take(request(), 'state')).resolves.toEqual(pending('a'))
    await expect(store.peek(request(), 'state')).resolves.toEqual(expect.any(String))
  })
}
