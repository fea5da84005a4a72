import { describe, expect, test } from '@jest/globals'
import type { AuthenticateOptions } from 'passport-idpartner'
import { set, type JwtBend } from '../support/bends.js'
import { MINUTE, travel } from '../support/clock.js'
import { expectLoggedIn, expectRefused } from '../support/expectations.js'
import { rsaKey } from '../support/key-pairs.js'
import { newPerson, type BankName } from '../support/platform.js'
import { plainAnswers, signedAnswers } from '../support/profiles.js'
import { nextScene, startScene, type Begun, type Scene, useScenes } from '../support/scene.js'
import { settle } from '../support/settle.js'

useScenes()

const flows = [{ flow: 'proxy' }, { flow: 'direct' }] as const

/** The same, and each profile. */
const setups = [
  ...flows.map((options) => ({ ...options, options })),
  ...[...signedAnswers, ...plainAnswers].map(({ setup, options }) => ({ flow: `${setup}, direct`, options })),
]

const noTokenRequest = ({ platform }: Scene): void => {
  expect(platform.requests.filter((endpoint) => endpoint.endsWith('.token'))).toEqual([])
}

describe.each(setups)("an attacker's own authentic answer ($flow flow)", ({ options }) => {
  test("does not log the attacker in in a victim's browser that waits for a login of its own", async () => {
    const scene = await nextScene(options)
    const attacker = scene.newVisitor(newPerson())
    const answer = await attacker.answerParams(await attacker.begin())
    const login = await scene.victim.begin()
    expectRefused(await scene.victim.bring(answer), { code: 'login_missing', reason: 'no_login' })
    noTokenRequest(scene)
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test("does not log the attacker in in a victim's browser that began nothing", async () => {
    const scene = await nextScene(options)
    const attacker = scene.newVisitor(newPerson())
    const answer = await attacker.answerParams(await attacker.begin())
    expectRefused(await scene.victim.bring(answer), {
      code: 'login_missing',
      reason: 'no_session',
      message: /without the session/,
    })
    noTokenRequest(scene)
  })

  test("brought in a victim's browser leaves the attacker's own login alone", async () => {
    const scene = await nextScene(options)
    const other = scene.newVisitor()
    const answer = await scene.victim.answerParams(await scene.victim.begin())
    expectRefused(await other.bring(answer), { code: 'login_missing', reason: 'no_session' })
    expectLoggedIn(await scene.victim.bring(answer), scene)
  })
})

describe.each(setups)('an answer that was used ($flow flow)', ({ options }) => {
  test('is refused in the same session', async () => {
    const scene = await nextScene(options)
    const answer = await scene.victim.answerParams(await scene.victim.begin())
    expectLoggedIn(await scene.victim.bring(answer), scene)
    expectRefused(await scene.victim.bring(answer), { code: 'login_missing', reason: 'already_used' })
    expect(scene.platform.count(scene.platform.endpoint('token'))).toBe(1)
    expect(scene.logins).toHaveLength(1)
  })

  test('is refused in another session', async () => {
    const scene = await nextScene(options)
    const thief = scene.newVisitor()
    await thief.begin()
    const answer = await scene.victim.answerParams(await scene.victim.begin())
    expectLoggedIn(await scene.victim.bring(answer), scene)
    expectRefused(await thief.bring(answer), { code: 'login_missing', reason: 'already_used' })
    expect(scene.platform.count(scene.platform.endpoint('token'))).toBe(1)
  })

  test('is refused in a copy of the session from before', async () => {
    const scene = await nextScene(options)
    const answer = await scene.victim.answerParams(await scene.victim.begin())
    const thief = scene.newVisitor()
    thief.session = structuredClone(scene.victim.session)
    expectLoggedIn(await scene.victim.bring(answer), scene)
    expectRefused(await thief.bring(answer), { code: 'login_missing', reason: 'already_used' })
    expect(scene.platform.count(scene.platform.endpoint('token'))).toBe(1)
  })

  test('is refused by another process that shares the session', async () => {
    const scene = await nextScene(options)
    const other = await startScene({ ...options, platform: scene.platform })
    const answer = await scene.victim.answerParams(await scene.victim.begin())
    expectLoggedIn(await scene.victim.bring(answer), scene)
    other.victim.session = scene.victim.session
    expectRefused(await other.victim.bring(answer), { code: 'login_missing', reason: 'already_used' })
    expect(scene.platform.count(scene.platform.endpoint('token'))).toBe(1)
  })

  test('is refused in a session that was renewed', async () => {
    const scene = await nextScene(options)
    const answer = await scene.victim.answerParams(await scene.victim.begin())
    expectLoggedIn(await scene.victim.bring(answer), scene)
    scene.victim.session = {}
    expectRefused(await scene.victim.bring(answer), { code: 'login_missing', reason: 'already_used' })
  })

  test('counts once when it is sent twice at the same time', async () => {
    const scene = await nextScene(options)
    const answer = await scene.victim.answerParams(await scene.victim.begin())
    const twin = scene.newVisitor()
    twin.session = structuredClone(scene.victim.session)
    const all = [scene.victim, scene.victim, twin].map((browser) => browser.bring(answer))
    const settled = await Promise.all(all)
    expect(settled.filter(({ via }) => via === 'success')).toHaveLength(1)
    for (const lost of settled.filter(({ via }) => via !== 'success')) {
      expectRefused(lost, { code: 'login_missing', reason: 'already_used' })
    }
    expect(scene.platform.count(scene.platform.endpoint('token'))).toBe(1)
  })
})

describe('a login that took too long', () => {
  test('is refused as expired, and its code is never sent', async () => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    travel(10 * MINUTE + 1000)
    expectRefused(await scene.victim.finish(login), { code: 'login_missing', reason: 'expired' })
    noTokenRequest(scene)
  })

  test('is good for all of its time', async () => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    travel(9.9 * MINUTE)
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test('has only the time that the application gives it', async () => {
    const scene = await startScene({ strategy: { loginTtl: 60 } })
    const login = await scene.victim.begin()
    travel(MINUTE + 1000)
    expectRefused(await scene.victim.finish(login), { code: 'login_missing', reason: 'expired' })
  })
})

describe('several tabs', () => {
  test.each([{ order: [0, 1] }, { order: [1, 0] }])('log in in the order $order', async ({ order }) => {
    const scene = await startScene()
    const tabs = [await scene.victim.begin(), await scene.victim.begin()]
    for (const at of order) {
      const tab = tabs[at]
      if (tab) expectLoggedIn(await scene.victim.finish(tab), scene)
    }
    expect(scene.logins).toHaveLength(2)
  })

  test('are ten at most, and the oldest goes', async () => {
    const scene = await startScene()
    const first = await scene.victim.begin()
    const second = await scene.victim.begin()
    for (let more = 0; more < 9; more++) await scene.victim.begin()
    expectRefused(await scene.victim.finish(first), { code: 'login_missing', reason: 'no_login' })
    expectLoggedIn(await scene.victim.finish(second), scene)
  })
})

describe.each(flows)('a page that opens the login route again and again ($flow flow)', ({ flow }) => {
  const click = { 'sec-fetch-site': 'cross-site', 'sec-fetch-user': '?1' }
  const script = { 'sec-fetch-site': 'cross-site' }

  const open = async (scene: Scene, headers: object, options: AuthenticateOptions = {}): Promise<Begun> => {
    const { platform, victim, strategy } = scene
    const query = flow === 'direct' ? { iss: platform.bankA.issuer } : {}
    const req = victim.get('/login', new URLSearchParams(query))
    const { via, value } = await settle(strategy, { ...req, headers }, options)
    expect(via).toBe('redirect')
    return { url: value as string, request: await platform.request(value as string), bank: 'bankA' }
  }

  test.each<[string, object, object]>([
    ['was begun here, whoever has touched it', {}, click],
    ['was begun by a link elsewhere, without having been touched', click, script],
  ])('ends no login that %s', async (_name, own, others) => {
    const scene = await startScene({ flow })
    const login = await open(scene, own)
    for (let more = 0; more < 12; more++) await open(scene, others)
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test('ends no login here with a long value that the application carries through each', async () => {
    const scene = await startScene({ flow })
    const logins = [await open(scene, {}), await open(scene, {})]
    for (let more = 0; more < 2; more++) await open(scene, script, { state: 'x'.repeat(4000) })
    for (const login of logins) expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test('leaves its own last one to be finished, since it may be a link of another site of ours', async () => {
    const scene = await startScene({ flow })
    for (let tab = 0; tab < 10; tab++) await open(scene, {})
    await open(scene, script)
    expectLoggedIn(await scene.victim.finish(await open(scene, script)), scene)
  })

  test('goes first when the person begins more than ten', async () => {
    const scene = await startScene({ flow })
    const own = await open(scene, {})
    const theirs = [await open(scene, click), await open(scene, script)]
    for (let tab = 0; tab < 8; tab++) await open(scene, {})
    const missing = { code: 'login_missing', reason: 'no_login' } as const
    expectRefused(await scene.victim.finish(theirs[1] ?? own), missing)
    await open(scene, {})
    expectRefused(await scene.victim.finish(theirs[0] ?? own), missing)
    expectLoggedIn(await scene.victim.finish(own), scene)
  })
})

describe.each(signedAnswers)("with $setup another bank's answer to this login", ({ options }) => {
  test('is refused, although the bank is trusted, and signs it', async () => {
    const scene = await nextScene(options)
    const login = await scene.victim.begin('bankA')
    const answer = await scene.victim.answerParams(login, {}, { bank: 'bankB' })
    expectRefused(await scene.victim.bring(answer), { code: 'response_invalid', message: /another bank/ })
    noTokenRequest(scene)
    expectLoggedIn(await scene.victim.finish(login), scene)
  })
})

describe("another's answer to this login", () => {
  test('is refused from another trusted bank than the login went to', async () => {
    const scene = await startScene({ flow: 'direct' })
    const login = await scene.victim.begin('bankA')
    const response = await scene.victim.answer(login, {}, { bank: 'bankB' })
    expectRefused(await scene.victim.bring({ response }), {
      code: 'response_invalid',
      message: /another bank/,
    })
    noTokenRequest(scene)
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test.each<{ name: string; answer: (scene: Scene) => JwtBend }>([
    {
      name: 'in an envelope that names the right one',
      answer: ({ platform }) => ({ claims: set({ iss: platform.bankB.issuer }), key: () => rsaKey('bankB') }),
    },
    {
      name: 'signed in the name of the right one',
      answer: () => ({ key: () => rsaKey('bankB') }),
    },
    {
      name: 'with the other in the envelope',
      answer: ({ platform }) => ({ seal: set({ iss: platform.bankB.issuer }) }),
    },
  ])('is refused from a bank other than the document names, $name', async ({ answer }) => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    // The other bank is known and trusted, so only the comparison stops it.
    expectLoggedIn(await scene.victim.finish({ ...(await scene.victim.begin()), bank: 'bankB' }), scene)
    const before = scene.platform.requests.length
    expectRefused(await scene.victim.finish(login, { answer: answer(scene) }), { code: 'response_invalid' })
    const after = scene.platform.requests.slice(before)
    expect(after.filter((endpoint) => endpoint.endsWith('.token'))).toEqual([])
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test("is refused from another person, inside a genuine document of this person's login", async () => {
    const scene = await startScene()
    const attacker = scene.newVisitor(newPerson())
    const foreign = await attacker.begin()
    const login = await scene.victim.begin()
    const { platform } = scene
    const answer = await platform.bankA.answer(foreign.request, newPerson())
    const response = await platform.wrap(answer, login.request.interactionId, 'bankA')
    expectRefused(await scene.victim.bring({ response }), { code: 'login_missing', reason: 'no_login' })
    noTokenRequest(scene)
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test('is accepted from whichever bank the person chose at the proxy', async () => {
    const scene = await startScene()
    expectLoggedIn(await scene.victim.finish({ ...(await scene.victim.begin()), bank: 'bankB' }), scene)
    expect(scene.logins[0]?.issuer).toBe(scene.platform.bankB.issuer)
    expect(scene.platform.requests).not.toContain('bankA.token')
  })
})

describe.each(setups)('many people at once ($flow flow)', ({ options }) => {
  test('are not mixed up, nor are their banks', async () => {
    const scene = await nextScene(options)
    const banks: BankName[] = ['bankA', 'bankB']
    const people = Array.from({ length: 12 }, (_, at) => ({
      person: newPerson(),
      bank: banks[at % 2] ?? 'bankA',
    }))
    const users = await Promise.all(
      people.map(async ({ person, bank }) => {
        const browser = scene.newVisitor(person)
        const login = await browser.begin(bank)
        return browser.finish(login)
      }),
    )
    expect(users.map(({ value }) => value)).toEqual(people.map(({ person: { sub } }) => ({ sub })))
    for (const { person, bank } of people) {
      const login = scene.logins.find(({ claims }) => claims.sub === person.sub)
      const { issuer } = scene.platform[bank]
      expect(login).toMatchObject({ issuer, claims: { iss: issuer, ...person }, userInfo: person })
    }
  })
})

describe('a visit to the account selector', () => {
  test.each<{ name: string; answer: JwtBend }>([
    { name: 'the state it is remembered under', answer: { claims: set({ state: 'account-selector' }) } },
    {
      name: 'the state and the issuer',
      answer: { claims: set({ state: 'account-selector', iss: 'account-selector' }) },
    },
  ])('is no login that an answer could belong to, even with $name', async ({ answer }) => {
    const scene = await startScene({ flow: 'direct' })
    expect((await scene.victim.login({})).via).toBe('redirect')
    const login = await scene.victim.begin()
    expectRefused(await scene.victim.finish(login, { answer }), { code: 'response_invalid' })
    noTokenRequest(scene)
    expectLoggedIn(await scene.victim.finish(login), scene)
  })
})

describe('the application that accepts only some banks', () => {
  test.each<{ name: string; accept: () => boolean | Promise<boolean> }>([
    { name: 'says no', accept: () => false },
    { name: 'says no later', accept: () => Promise.resolve(false) },
    { name: 'forgets to say anything', accept: () => undefined as unknown as boolean },
    { name: 'says something that is not true', accept: () => 'yes' as unknown as boolean },
  ])('$name: no code is sent', async ({ accept }) => {
    const scene = await startScene({ strategy: { acceptProvider: accept } })
    expectRefused(await scene.victim.finish(await scene.victim.begin()), { code: 'provider_refused' })
    noTokenRequest(scene)
  })

  test('and names them in trusted_issuers: nothing is asked of another', async () => {
    const scene = await startScene({ strategy: { trusted_issuers: ['https://bank.example'] } })
    const login = await scene.victim.begin()
    expectRefused(await scene.victim.finish(login), { code: 'provider_refused' })
    expect(scene.platform.requests.filter((endpoint) => endpoint.startsWith('bank'))).toEqual([])
  })
})
