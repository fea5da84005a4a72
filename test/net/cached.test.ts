import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { Cached } from '../../lib/net/cached.js'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const TTL = 10 * MINUTE
const STALE_FOR = 24 * HOUR
const RETRY_AFTER = 30 * SECOND
const PATIENCE = 250

beforeEach(() => {
  jest.useFakeTimers()
})

afterEach(() => {
  jest.useRealTimers()
})

const pass = async (milliseconds: number): Promise<void> => {
  await jest.advanceTimersByTimeAsync(milliseconds)
}

/** A document that notes when it was loaded, can be down and can be slow. */
class Source {
  readonly begun: number[] = []
  down = false
  /** Milliseconds that loading takes. */
  delay = 0
  readonly cached: Cached<string>

  constructor(patience?: number) {
    this.cached = new Cached(() => this.#load(), {
      ttl: TTL,
      ...(patience !== undefined && { patience }),
      about: { issuer: 'https://bank.example', document: 'keys' },
    })
  }

  async #load(): Promise<string> {
    this.begun.push(Date.now())
    const load = this.loads
    if (this.delay > 0) await new Promise((resolve) => setTimeout(resolve, this.delay))
    if (this.down) throw new Error(`failure ${String(load)}`)
    return `copy ${String(load)}`
  }

  get loads(): number {
    return this.begun.length
  }

  get = (): Promise<string> => this.cached.get()
  refresh = (): Promise<string | undefined> => this.cached.refresh()
}

/** How a promise has ended by now; nothing while it waits. */
function watch(promise: Promise<unknown>): { ended?: unknown } {
  const seen: { ended?: unknown } = {}
  promise.then(
    (value) => (seen.ended = value),
    (err: unknown) => (seen.ended = (err as Error).message),
  )
  return seen
}

async function loaded(patience?: number): Promise<Source> {
  const source = new Source(patience)
  await source.get()
  return source
}

describe('a document', () => {
  test('is not loaded before it is asked for', () => {
    expect(new Source().loads).toBe(0)
  })

  test('is loaded once by all who wait for it, also while it is being loaded', async () => {
    const source = new Source()
    source.delay = 5 * SECOND
    const early = watch(source.get())
    await pass(SECOND)
    const late = watch(source.get())
    await pass(4 * SECOND)
    expect([early.ended, late.ended]).toEqual(['copy 1', 'copy 1'])
    expect(source.loads).toBe(1)
  })

  test('is used until its time is over; then it serves at once and is renewed behind it', async () => {
    const source = await loaded()
    await pass(TTL - 1)
    await source.get()
    expect(source.loads).toBe(1)
    await pass(1)
    source.delay = 5 * SECOND
    await expect(Promise.all([source.get(), source.get()])).resolves.toEqual(['copy 1', 'copy 1'])
    await pass(5 * SECOND - 1)
    await expect(source.get()).resolves.toBe('copy 1')
    await pass(1)
    await expect(source.get()).resolves.toBe('copy 2')
    await pass(TTL - 1)
    await expect(source.get()).resolves.toBe('copy 2')
    expect(source.loads).toBe(2)
  })

  test('that never answers again serves at once for a day', async () => {
    const source = await loaded()
    source.delay = 20 * SECOND
    source.down = true
    for (let at = 0; at < STALE_FOR; at += TTL / 2) {
      await pass(TTL / 2)
      await expect(source.get()).resolves.toBe('copy 1')
    }
  })

  test('is not believed any more a day after its time', async () => {
    const source = await loaded()
    source.down = true
    await pass(TTL + STALE_FOR - 1)
    await expect(source.get()).resolves.toBe('copy 1')
    await pass(SECOND)
    await expect(source.get()).rejects.toThrow('failure 3')
    source.down = false
    await pass(SECOND)
    await expect(source.get()).resolves.toBe('copy 4')
  })
})

describe('after an hour in which nobody asked', () => {
  test('a newer copy is waited for, by all who ask', async () => {
    const source = await loaded(PATIENCE)
    await pass(HOUR)
    source.delay = PATIENCE - 1
    const asked = [watch(source.get()), watch(source.get())]
    await pass(PATIENCE - 1)
    expect(asked).toEqual([{ ended: 'copy 2' }, { ended: 'copy 2' }])
    expect(jest.getTimerCount()).toBe(0)
  })

  test('it is waited for no longer than that, and once', async () => {
    const source = await loaded(PATIENCE)
    await pass(HOUR)
    source.delay = 20 * SECOND
    const asked = watch(source.get())
    await pass(PATIENCE - 1)
    expect(asked.ended).toBeUndefined()
    await pass(1)
    expect(asked.ended).toBe('copy 1')
    await expect(source.get()).resolves.toBe('copy 1')
    await pass(20 * SECOND)
    await expect(source.get()).resolves.toBe('copy 2')
  })

  test('a failure is covered', async () => {
    const source = await loaded(PATIENCE)
    await pass(HOUR)
    source.down = true
    await expect(source.get()).resolves.toBe('copy 1')
  })

  test.each([
    { name: 'somebody tried within the hour', patience: PATIENCE, silence: HOUR - 1 },
    { name: 'there is no patience', patience: undefined, silence: HOUR },
  ])('nobody waits when $name', async ({ patience, silence }) => {
    const source = await loaded(patience)
    await pass(silence)
    await expect(source.get()).resolves.toBe('copy 1')
  })
})

describe('a failure', () => {
  test('reaches all who wait, and is not kept', async () => {
    const source = new Source()
    source.down = true
    const waiting = await Promise.allSettled([source.get(), source.get()])
    expect(waiting.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(source.loads).toBe(1)
    source.down = false
    const next = watch(source.get())
    await pass(SECOND)
    expect(next.ended).toBe('copy 2')
  })

  test('lets nobody load more than once a second', async () => {
    const source = new Source()
    source.down = true
    const asked = []
    for (let at = 0; at < 5 * SECOND; at += 10) {
      asked.push(watch(source.get()))
      await pass(10)
    }
    await pass(SECOND)
    expect(asked.every(({ ended }) => String(ended).startsWith('failure'))).toBe(true)
    expect(source.loads).toBeLessThanOrEqual(6)
    expectSpaced(source)
  })

  test('after which a load asks once more lets nobody ask more than once a second either', async () => {
    const begun: number[] = []
    const cached = new Cached<never>(
      async (slot) => {
        begun.push(Date.now())
        await slot()
        begun.push(Date.now())
        throw new Error('failure')
      },
      { ttl: TTL, about: { issuer: 'https://bank.example', document: 'keys' } },
    )
    const asked = []
    for (let at = 0; at < 5 * SECOND; at += 10) {
      asked.push(watch(cached.get()), watch(cached.refresh()))
      await pass(10)
    }
    await pass(4 * SECOND)
    expect(asked.every(({ ended }) => ended === 'failure')).toBe(true)
    expect(begun.length).toBeGreaterThanOrEqual(5)
    expectSpaced({ begun })
  })

  test('of a renewal is not tried again for a while, and then it is', async () => {
    const source = await loaded()
    source.down = true
    await pass(TTL)
    await source.get()
    await pass(RETRY_AFTER - 1)
    await expect(source.get()).resolves.toBe('copy 1')
    expect(source.loads).toBe(2)
    source.down = false
    await pass(1)
    await source.get()
    await pass(0)
    await expect(source.get()).resolves.toBe('copy 3')
  })
})

describe('a refresh', () => {
  test('loads although the copy is young', async () => {
    const source = await loaded()
    await pass(SECOND)
    await expect(source.refresh()).resolves.toBe('copy 2')
    await expect(source.get()).resolves.toBe('copy 2')
  })

  test('waits until a second after the last load began, with all who ask meanwhile', async () => {
    const source = await loaded()
    const asked = [watch(source.refresh()), watch(source.refresh())]
    await pass(500)
    asked.push(watch(source.refresh()))
    await pass(499)
    expect(asked).toEqual([{}, {}, {}])
    await pass(1)
    expect(asked).toEqual(Array(3).fill({ ended: 'copy 2' }))
    expect(source.loads).toBe(2)
  })

  test.each([
    { name: 'the first one', begin: () => new Source() },
    {
      name: 'a renewal',
      begin: async () => {
        const source = await loaded()
        await pass(TTL)
        return source
      },
    },
  ])('never joins a load that began before it: $name', async ({ begin }) => {
    const source = await begin()
    source.delay = 3 * SECOND
    watch(source.get())
    await pass(SECOND)
    const before = source.loads
    const asked = watch(source.refresh())
    await pass(2 * SECOND)
    expect(asked.ended).toBeUndefined()
    await pass(3 * SECOND)
    expect(asked.ended).toBe(`copy ${String(before + 1)}`)
  })

  test('needs no load when one began since', async () => {
    const source = new Source()
    const since = source.cached.loads
    await source.get()
    await expect(source.cached.refresh(since)).resolves.toBe('copy 1')
    expect(source.loads).toBe(1)
  })

  test('joins the load that began since', async () => {
    const source = await loaded()
    await pass(TTL)
    source.delay = 3 * SECOND
    const since = source.cached.loads
    await source.get()
    await pass(0)
    const asked = watch(source.cached.refresh(since))
    await pass(3 * SECOND)
    expect(asked.ended).toBe('copy 2')
    expect(source.loads).toBe(2)
  })

  test('that fails is the failure, and leaves the copy', async () => {
    const source = await loaded()
    source.down = true
    const asked = watch(source.refresh())
    await pass(SECOND)
    expect(asked.ended).toBe('failure 2')
    await expect(source.get()).resolves.toBe('copy 1')
  })

  test('begins once a second at most, and gets its turn, whoever asks', async () => {
    const source = await loaded()
    const asked = []
    for (let at = 0; at < MINUTE; at += 100) {
      asked.push(watch(source.refresh()))
      await pass(100)
    }
    expect(source.loads).toBeLessThanOrEqual(61)
    expectSpaced(source)
    const mine = watch(source.refresh())
    await pass(SECOND)
    expect(mine.ended).toBe(`copy ${String(source.loads)}`)
    expect(asked.every(({ ended }) => String(ended).startsWith('copy'))).toBe(true)
  })

  test('is waited for by a thousand at most, and by the next thousand after that', async () => {
    const source = await loaded()
    const asked = Array.from({ length: 1000 }, () => watch(source.refresh()))
    await expect(source.refresh()).resolves.toBeUndefined()
    await pass(SECOND)
    expect(new Set(asked.map(({ ended }) => ended))).toEqual(new Set(['copy 2']))
    const next = watch(source.refresh())
    await pass(SECOND)
    expect(next.ended).toBe('copy 3')
  })

  test('tells whoever watches of each that was turned away, and of nobody else', async () => {
    const refused: unknown[] = []
    const listener = (payload: unknown): void => void refused.push(payload)
    subscribe('passport-idpartner:refused', listener)
    try {
      const source = await loaded()
      const asked = Array.from({ length: 1000 }, () => watch(source.refresh()))
      expect(refused).toEqual([])
      await source.refresh()
      expect(refused).toEqual([{ issuer: 'https://bank.example', document: 'keys' }])
      await pass(SECOND)
      expect(asked.every(({ ended }) => ended === 'copy 2')).toBe(true)
      expect(refused).toHaveLength(1)
    } finally {
      unsubscribe('passport-idpartner:refused', listener)
    }
  })

  test('waits a second at most when the clock was set back', async () => {
    const source = await loaded()
    jest.setSystemTime(Date.now() - HOUR)
    const asked = watch(source.refresh())
    await pass(SECOND)
    expect(asked.ended).toBe('copy 2')
  })
})

function expectSpaced({ begun }: { begun: readonly number[] }): void {
  const gaps = begun.slice(1).map((at, index) => at - (begun[index] ?? 0))
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(SECOND)
}
