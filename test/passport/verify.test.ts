import { afterEach, describe, expect, jest, test } from '@jest/globals'
import {
  runVerify,
  verifierOf,
  type Done,
  type IDPartnerLogin,
  type Verdict,
  type Verify,
  type VerifyWithRequest,
} from '../../lib/passport/verify.js'

const USER = { id: 42 }
const INFO = { remember: true }

const login = { issuer: 'https://bank.example', state: 'x' } as IDPartnerLogin
const req = { url: '/callback' }

/** What an application may write in JavaScript, or with types that lie. */
type Answer = (login: IDPartnerLogin, done: Done) => unknown

const run = (verify: Answer): Promise<Verdict> =>
  runVerify(verifierOf<typeof req>(verify as Verify, false), req, login)

const later = (call: () => void): void => {
  setImmediate(call)
}

/** A promise of another library, which only has `then`. */
function thenable(value: unknown): PromiseLike<unknown> {
  const then = (resolve: (value: unknown) => void): void => {
    later(() => {
      resolve(value)
    })
  }
  return { then } as PromiseLike<unknown>
}

/** What a database driver returns beside calling back: no answer of the application. */
const query = { sql: 'SELECT 1', then: 'not a function' }

afterEach(() => {
  jest.useRealTimers()
})

describe('verify says who it is', () => {
  test.each<[string, Answer]>([
    [
      'done at once',
      (_login, done) => {
        done(null, USER)
      },
    ],
    [
      'done later',
      (_login, done) => {
        later(() => {
          done(null, USER)
        })
      },
    ],
    [
      'done without an error as undefined',
      (_login, done) => {
        done(undefined, USER)
      },
    ],
    ['a promise', () => Promise.resolve(USER)],
    [
      'an async function',
      async () => {
        await Promise.resolve()
        return USER
      },
    ],
    ['a promise of another library', () => thenable(USER)],
    [
      'done, and a promise of nothing',
      (_login, done) => {
        later(() => {
          done(null, USER)
        })
        return Promise.resolve()
      },
    ],
    [
      'done inside an async function',
      async (_login, done) => {
        await Promise.resolve()
        done(null, USER)
      },
    ],
    [
      "done, and a driver's object",
      (_login, done) => {
        later(() => {
          done(null, USER)
        })
        return query
      },
    ],
    [
      'done, and true',
      (_login, done) => {
        later(() => {
          done(null, USER)
        })
        return true
      },
    ],
    [
      'done, and null',
      (_login, done) => {
        later(() => {
          done(null, USER)
        })
        return null
      },
    ],
    [
      'done, and a function',
      (_login, done) => {
        later(() => {
          done(null, USER)
        })
        return () => false
      },
    ],
  ])('with %s', async (_name, verify) => {
    await expect(run(verify)).resolves.toEqual({ user: USER, info: {} })
  })

  test('and more about it', async () => {
    await expect(
      run((_login, done) => {
        done(null, USER, INFO)
      }),
    ).resolves.toEqual({ user: USER, info: INFO })
  })
})

describe('verify says no', () => {
  test.each<[string, Answer]>([
    [
      'done and false',
      (_login, done) => {
        done(null, false)
      },
    ],
    [
      'done and null',
      (_login, done) => {
        done(null, null)
      },
    ],
    [
      'done and nothing',
      (_login, done) => {
        done(null)
      },
    ],
    [
      'done and something that is no user',
      (_login, done) => {
        done(null, 0 as unknown as false)
      },
    ],
    ['a promise of false', () => Promise.resolve(false)],
    ['a promise of null', () => Promise.resolve(null)],
    ['a promise of another library', () => thenable(false)],
    ['false', () => false],
  ])('with %s', async (_name, verify) => {
    await expect(run(verify)).resolves.toEqual({ user: false, info: {} })
  })

  test('and why', async () => {
    await expect(
      run((_login, done) => {
        done(null, false, { message: 'blocked' })
      }),
    ).resolves.toEqual({
      user: false,
      info: { message: 'blocked' },
    })
  })
})

describe('verify fails', () => {
  const failure = new RangeError('database down')

  test.each<[string, Answer]>([
    [
      'done and an error',
      (_login, done) => {
        done(failure)
      },
    ],
    [
      'done and an error, later',
      (_login, done) => {
        later(() => {
          done(failure)
        })
      },
    ],
    [
      'done, an error and a user',
      (_login, done) => {
        done(failure, USER)
      },
    ],
    [
      'a throw',
      () => {
        throw failure
      },
    ],
    ['a rejection', () => Promise.reject(failure)],
    [
      'a throw in an async function',
      async () => {
        await Promise.resolve()
        throw failure
      },
    ],
    [
      'a throw in a thenable',
      () => ({
        then: () => {
          throw failure
        },
      }),
    ],
    [
      'a thenable that rejects',
      () => ({
        then: (_ok: unknown, fail: (err: unknown) => void) => {
          fail(failure)
        },
      }),
    ],
  ])('with %s', async (_name, verify) => {
    await expect(run(verify)).rejects.toBe(failure)
  })

  test.each(['a text', 42, { code: 'E' }])('with whatever it throws: %j', async (thrown) => {
    await expect(
      run((_login, done) => {
        done(thrown)
      }),
    ).rejects.toBe(thrown)
    await expect(
      run(() => {
        throw thrown as unknown
      }),
    ).rejects.toBe(thrown)
  })
})

describe('the first answer counts', () => {
  const other = { id: 7 }

  test.each<[string, Answer, object | false]>([
    [
      'done twice',
      (_login, done) => {
        done(null, USER)
        done(null, other)
      },
      USER,
    ],
    [
      'done, then an error',
      (_login, done) => {
        done(null, USER)
        done(new Error('late'))
      },
      USER,
    ],
    [
      'done, then a throw',
      (_login, done) => {
        done(null, USER)
        throw new Error('late')
      },
      USER,
    ],
    [
      'done, then a rejection',
      (_login, done) => {
        done(null, USER)
        return Promise.reject(new Error('late'))
      },
      USER,
    ],
    [
      'done, then a promised user',
      (_login, done) => {
        done(null, USER)
        return Promise.resolve(other)
      },
      USER,
    ],
    [
      'done, then false',
      (_login, done) => {
        done(null, USER)
        return false
      },
      USER,
    ],
    [
      'no, then done',
      (_login, done) => {
        done(null, false)
        done(null, other)
      },
      false,
    ],
    [
      'false, then done',
      (_login, done) => {
        later(() => {
          done(null, USER)
        })
        return false
      },
      false,
    ],
    [
      'a promise before done',
      (_login, done) => {
        later(() => {
          done(null, other)
        })
        return Promise.resolve(USER)
      },
      USER,
    ],
  ])('%s', async (_name, verify, user) => {
    await expect(run(verify)).resolves.toHaveProperty('user', user)
  })

  test('an error, then done', async () => {
    await expect(
      run((_login, done) => {
        done(new Error('first'))
        done(null, USER)
      }),
    ).rejects.toThrow('first')
  })
})

describe('what verify is given', () => {
  test('is the login', async () => {
    const verify = jest.fn<Verify>(() => Promise.resolve(USER))
    await run(verify)
    expect(verify.mock.calls).toEqual([[login, expect.any(Function)]])
  })

  test('is the request first, where that was asked for', async () => {
    const verify = jest.fn<VerifyWithRequest<typeof req>>(() => Promise.resolve(USER))
    await runVerify(verifierOf(verify, true), req, login)
    expect(verify.mock.calls).toEqual([[req, login, expect.any(Function)]])
  })

  test.each([0, 1, 2, 3, 4])('does not depend on how many parameters it has: %d', async (length) => {
    const verify = (...args: unknown[]): Promise<object> => Promise.resolve({ args: args.length })
    Object.defineProperty(verify, 'length', { value: length })
    await expect(run(verify)).resolves.toHaveProperty('user', { args: 2 })
    const verifier = verifierOf(verify as VerifyWithRequest<object>, true)
    await expect(runVerify(verifier, req, login)).resolves.toHaveProperty('user', { args: 3 })
  })
})

describe('verify that never answers', () => {
  test.each<[string, Answer]>([
    ['returns nothing', () => undefined],
    ['returns a user instead of a promise', () => USER],
    ['returns a promise of nothing', () => Promise.resolve()],
    ['returns a promise that stays pending', () => new Promise(() => undefined)],
    ['returns null', () => null],
    ['returns true', () => true],
  ])('and %s ends after 15 seconds', async (_name, verify) => {
    jest.useFakeTimers()
    const answer = jest.fn()
    const waiting = run(verify).catch(answer)
    await jest.advanceTimersByTimeAsync(14_999)
    expect(answer).not.toHaveBeenCalled()
    await jest.advanceTimersByTimeAsync(1)
    await waiting
    expect(answer).toHaveBeenCalledWith(
      expect.objectContaining({
        code: 'config_invalid',
        status: 500,
        message: 'verify gave no answer within 15 s: call done() or return a promise of a user',
      }),
    )
  })

  test('leaves no timer behind when it answers', async () => {
    jest.useFakeTimers()
    await run(() => Promise.resolve(USER))
    await run(() => Promise.reject(new Error('no'))).catch(() => undefined)
    expect(jest.getTimerCount()).toBe(0)
  })
})

describe('verify written for another strategy', () => {
  interface Profile {
    id: string
  }
  type Callback = (err: unknown, user: unknown) => unknown

  const others: [string, boolean, unknown][] = [
    [
      '(accessToken, refreshToken, profile, done)',
      false,
      (_access: unknown, _refresh: unknown, profile: Profile, done: Callback) =>
        done(null, { id: profile.id }),
    ],
    [
      '(issuer, profile, cb)',
      false,
      (_issuer: unknown, profile: Profile, cb: Callback) => cb(null, { id: profile.id }),
    ],
    [
      'an async (accessToken, refreshToken, profile)',
      false,
      // eslint-disable-next-line @typescript-eslint/require-await -- so that it rejects
      async (_access: unknown, _refresh: unknown, profile: Profile) => ({ id: profile.id }),
    ],
    [
      '(req, login, done) without passReqToCallback',
      false,
      (_req: unknown, user: object, done: Callback) => done(null, user),
    ],
    [
      '(req, accessToken, refreshToken, profile, done)',
      true,
      (...[, , , profile, done]: [unknown, unknown, unknown, Profile, Callback]) => done(null, profile.id),
    ],
  ]
  Object.defineProperty(others.at(-1)?.[2], 'length', { value: 5 })

  test.each(others)('is told what it gets: %s', async (_name, passReqToCallback, verify) => {
    const err: unknown = await runVerify(
      verifierOf<typeof req>(verify as Verify, passReqToCallback),
      req,
      login,
    ).catch((reason: unknown) => reason)
    expect(err).toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(
        /^verify failed with a TypeError: with passReqToCallback: .* it is called with \((req, )?login, done\)/,
      ),
      cause: { name: 'TypeError' },
    })
  })

  test('that never answers is told so too', async () => {
    jest.useFakeTimers()
    const ended = run(Object.defineProperty(() => undefined, 'length', { value: 3 })).catch(
      (reason: unknown) => reason,
    )
    await jest.advanceTimersByTimeAsync(15_000)
    expect(await ended).toMatchObject({
      message: expect.stringMatching(/no answer.*called with \(login, done\)/),
    })
  })

  test.each<[string, Answer]>([
    ['one parameter', (one) => (one as unknown as { missing: { name: string } }).missing.name],
    ['two', (one, done) => (one as unknown as { missing: { name: string } }).missing.name + String(done)],
    ['as many as there are', (...all) => (all[0] as unknown as { missing: { name: string } }).missing.name],
  ])('is not what a TypeError of its own is taken for, with %s', async (_name, verify) => {
    await expect(run(verify)).rejects.toThrow(TypeError)
  })

  test("nor a time limit of the application's for ours", async () => {
    const own = new DOMException('signal timed out', 'TimeoutError')
    await expect(run(() => Promise.reject(own))).rejects.toBe(own)
  })
})
