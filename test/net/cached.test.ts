import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { Cached } from '../../lib/net/cached.js'

const MINUTE = 60_000
const TIMES = { ttl: 10 * MINUTE, retryAfter: 30_000, staleFor: 60 * MINUTE, patience: 1000 }

beforeEach(() => {
  jest.useFakeTimers()
})

afterEach(() => {
  jest.useRealTimers()
})

const pass = (milliseconds: number): void => {
  jest.setSystemTime(Date.now() + milliseconds)
}

/** A document that counts how often it was loaded, and can be down. */
class Source {
  loads = 0
  down = false
  /** What loading waits for. */
  delay: Promise<unknown> = Promise.resolve()
  readonly cached: Cached<string>

  constructor(patience = TIMES.patience) {
    this.cached = new Cached(() => this.#load(), { ...TIMES, patience })
  }

  async #load(): Promise<string> {
    const load = ++this.loads
    await this.delay
    if (this.down) throw new Error(`failure ${String(load)}`)
    return `copy ${String(load)}`
  }

  get = (): Promise<string> => this.cached.get()
  refresh = (): Promise<string | undefined> => this.cached.refresh()
}

describe('a document', () => {
  test('is not loaded before it is asked for', () => {
    expect(new Source().loads).toBe(0)
  })

  test('is loaded once by all who wait for it', async () => {
    const source = new Source()
    const copies = await Promise.all(Array.from({ length: 20 }, source.get))
    expect(new Set(copies)).toEqual(new Set(['copy 1']))
    expect(source.loads).toBe(1)
  })

  test('is used until it is too old, and then loaded again', async () => {
    const source = new Source()
    await source.get()
    pass(TIMES.ttl - 1)
    await expect(source.get()).resolves.toBe('copy 1')
    pass(1)
    await expect(source.get()).resolves.toBe('copy 2')
    expect(source.loads).toBe(2)
    expect(jest.getTimerCount()).toBe(0)
  })

  test('that is loaded again is young again', async () => {
    const source = new Source()
    await source.get()
    pass(TIMES.ttl)
    await source.get()
    pass(TIMES.ttl - 1)
    await expect(source.get()).resolves.toBe('copy 2')
  })
})

describe('a document that nobody waits for', () => {
  const withoutPatience = async (): Promise<Source> => {
    const source = new Source(0)
    await source.get()
    pass(TIMES.ttl)
    return source
  }

  test('is waited for all the same while there is no copy', async () => {
    await expect(new Source(0).get()).resolves.toBe('copy 1')
  })

  test('is the copy that is due, and a newer one for those who come later', async () => {
    const source = await withoutPatience()
    source.delay = new Promise((resolve) => setTimeout(resolve, 5000))
    await expect(Promise.all([source.get(), source.get()])).resolves.toEqual(['copy 1', 'copy 1'])
    expect(source.loads).toBe(2)
    await jest.advanceTimersByTimeAsync(4999)
    await expect(source.get()).resolves.toBe('copy 1')
    await jest.advanceTimersByTimeAsync(1)
    await expect(source.get()).resolves.toBe('copy 2')
    expect(source.loads).toBe(2)
  })

  test('fails unseen, and is not loaded again for a while', async () => {
    const source = await withoutPatience()
    source.down = true
    await source.get()
    await jest.advanceTimersByTimeAsync(TIMES.retryAfter - 1)
    await expect(source.get()).resolves.toBe('copy 1')
    expect(source.loads).toBe(2)
    source.down = false
    await jest.advanceTimersByTimeAsync(1)
    await source.get()
    await jest.advanceTimersByTimeAsync(0)
    await expect(source.get()).resolves.toBe('copy 3')
  })

  test('is waited for again when its copy is too old to be believed', async () => {
    const source = await withoutPatience()
    pass(TIMES.staleFor)
    await expect(source.get()).resolves.toBe('copy 2')
  })
})

describe('a failure', () => {
  test('reaches all who wait, and is not kept', async () => {
    const source = new Source()
    source.down = true
    const waiting = await Promise.allSettled([source.get(), source.get()])
    expect(waiting.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(source.loads).toBe(1)
    await expect(source.get()).rejects.toThrow('failure 2')
    source.down = false
    await expect(source.get()).resolves.toBe('copy 3')
  })

  test('is covered by the last good copy', async () => {
    const source = new Source()
    await source.get()
    source.down = true
    pass(TIMES.ttl)
    await expect(source.get()).resolves.toBe('copy 1')
    expect(source.loads).toBe(2)
  })

  test('is not tried again for a while, and then it is', async () => {
    const source = new Source()
    await source.get()
    source.down = true
    pass(TIMES.ttl)
    await source.get()
    pass(TIMES.retryAfter - 1)
    await expect(source.get()).resolves.toBe('copy 1')
    expect(source.loads).toBe(2)
    source.down = false
    pass(1)
    await expect(source.get()).resolves.toBe('copy 3')
  })

  test('to answer in a second is covered as well, and waited for once', async () => {
    const source = new Source()
    await source.get()
    let end = (): void => undefined
    source.delay = new Promise<void>((resolve) => {
      end = resolve
    })
    pass(TIMES.ttl)
    let copy: string | undefined
    const asked = source.get().then((value) => {
      copy = value
    })
    await jest.advanceTimersByTimeAsync(999)
    expect(copy).toBeUndefined()
    await jest.advanceTimersByTimeAsync(1)
    expect(copy).toBe('copy 1')
    await asked
    await expect(source.get()).resolves.toBe('copy 1')
    end()
    await jest.advanceTimersByTimeAsync(0)
    await expect(source.get()).resolves.toBe('copy 2')
    expect(source.loads).toBe(2)
    expect(jest.getTimerCount()).toBe(0)
  })

  test('is forgotten after a success', async () => {
    const source = new Source()
    await source.get()
    source.down = true
    pass(TIMES.ttl)
    await source.get()
    source.down = false
    pass(TIMES.retryAfter)
    await source.get()
    pass(TIMES.ttl)
    await expect(source.get()).resolves.toBe('copy 4')
  })

  test('is not covered by a copy that is too old to be believed', async () => {
    const source = new Source()
    await source.get()
    source.down = true
    pass(TIMES.ttl + TIMES.staleFor - 1)
    await expect(source.get()).resolves.toBe('copy 1')
    pass(1)
    await expect(source.get()).rejects.toThrow('failure 3')
    source.down = false
    await expect(source.get()).resolves.toBe('copy 4')
  })
})

describe('a refresh', () => {
  test('loads although the copy is young', async () => {
    const source = new Source()
    await source.get()
    await expect(source.refresh()).resolves.toBe('copy 2')
    await expect(source.get()).resolves.toBe('copy 2')
  })

  test('is shared with all who load at the time', async () => {
    const source = new Source()
    const copies = await Promise.all([source.get(), source.refresh(), source.refresh(), source.get()])
    expect(copies).toEqual(['copy 1', 'copy 1', 'copy 1', 'copy 1'])
    expect(source.loads).toBe(1)
  })

  test('that fails is the failure, and leaves the copy', async () => {
    const source = new Source()
    await source.get()
    source.down = true
    await expect(source.refresh()).rejects.toThrow('failure 2')
    await expect(source.get()).resolves.toBe('copy 1')
  })

  test('happens ten times a minute at most, whoever asks', async () => {
    const source = new Source()
    await source.get()
    for (let round = 0; round < 10; round++) {
      await expect(source.refresh()).resolves.toBe(`copy ${String(round + 2)}`)
    }
    await expect(source.refresh()).resolves.toBeUndefined()
    pass(MINUTE - 1)
    await expect(source.refresh()).resolves.toBeUndefined()
    pass(1)
    await expect(source.refresh()).resolves.toBe('copy 12')
    expect(source.loads).toBe(12)
  })

  test('that many ask for at once counts as one', async () => {
    const source = new Source()
    await source.get()
    await Promise.all(Array.from({ length: 20 }, () => source.refresh()))
    await expect(source.refresh()).resolves.toBe('copy 3')
  })

  test('that failed counts too', async () => {
    const source = new Source()
    await source.get()
    source.down = true
    for (let round = 0; round < 10; round++) await expect(source.refresh()).rejects.toThrow('failure')
    await expect(source.refresh()).resolves.toBeUndefined()
  })
})
