import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { Deadline, abortable, inTime, isTimeout, tooLate, within } from '../../lib/net/deadline.js'

beforeEach(() => {
  jest.useFakeTimers()
})

afterEach(() => {
  jest.useRealTimers()
})

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

describe('a deadline', () => {
  test('ends when its time is over', () => {
    const { signal } = new Deadline(100)
    jest.advanceTimersByTime(99)
    expect(signal.aborted).toBe(false)
    jest.advanceTimersByTime(1)
    expect(signal.aborted).toBe(true)
    expect(signal.reason).toMatchObject({ name: 'TimeoutError', message: 'the time limit is over' })
  })

  test('does not end after it was cleared, and leaves no timer', () => {
    const deadline = new Deadline(100)
    deadline.clear()
    expect(jest.getTimerCount()).toBe(0)
    jest.advanceTimersByTime(1000)
    expect(deadline.signal.aborted).toBe(false)
  })

  test('ends with the outer one, if that is earlier', () => {
    const outer = new AbortController()
    const { signal } = new Deadline(100, outer.signal)
    expect(signal.aborted).toBe(false)
    outer.abort()
    expect(signal.aborted).toBe(true)
    expect(signal.reason).toMatchObject({ name: 'TimeoutError' })
  })

  test('ends before the outer one, if that is later', () => {
    const outer = new AbortController()
    const { signal } = new Deadline(100, outer.signal)
    jest.advanceTimersByTime(100)
    expect(signal.aborted).toBe(true)
    expect(outer.signal.aborted).toBe(false)
  })

  test('has ended already when the outer one has', () => {
    expect(new Deadline(100, AbortSignal.abort()).signal.aborted).toBe(true)
  })

  test('does not hear of the outer one after it was cleared', () => {
    const outer = new AbortController()
    const deadline = new Deadline(100, outer.signal)
    expect(listeners(outer.signal)).toBe(1)
    deadline.clear()
    expect(listeners(outer.signal)).toBe(0)
    outer.abort()
    expect(deadline.signal.aborted).toBe(false)
  })
})

test('time that is over ends in an error of ours that names the option', () => {
  expect(tooLate(new RangeError('given up'))).toMatchObject({
    code: 'provider_unavailable',
    status: 504,
    message: expect.stringContaining('"timeout"'),
    cause: { name: 'RangeError', message: 'given up' },
  })
})

describe('work within a time limit', () => {
  test('gives what the work gives, and leaves no timer', async () => {
    await expect(within(100, () => Promise.resolve('value'))).resolves.toBe('value')
    await expect(within(100, () => Promise.reject(new RangeError('no')))).rejects.toThrow(RangeError)
    expect(jest.getTimerCount()).toBe(0)
  })

  test.each<[string, AbortSignal | undefined]>([
    ['when the time is over', undefined],
    ['when the outer limit has ended', AbortSignal.abort()],
  ])('ends %s, also work that does not heed its signal', async (_name, outer) => {
    let seen: AbortSignal | undefined
    const work = ({ signal }: { signal: AbortSignal }): Promise<never> => {
      seen = signal
      return new Promise(() => undefined)
    }
    const ended = within(100, work, outer).catch((err: unknown) => err)
    jest.advanceTimersByTime(100)
    const err = await ended
    expect(isTimeout(err)).toBe(true)
    expect(seen?.aborted).toBe(true)
    expect(jest.getTimerCount()).toBe(0)
  })

  test('ends when the time is over, also work that asks for no signal', async () => {
    const ended = within(100, () => new Promise(() => undefined)).catch((err: unknown) => err)
    jest.advanceTimersByTime(100)
    expect(isTimeout(await ended)).toBe(true)
  })

  test('ends with the outer limit, and leaves nothing there', async () => {
    const outer = new AbortController()
    const ended = within(100, () => new Promise(() => undefined), outer.signal).catch((err: unknown) => err)
    outer.abort()
    expect(isTimeout(await ended)).toBe(true)
    expect(listeners(outer.signal)).toBe(0)
  })

  test('looks after a failure that comes too late, since that would end the process', async () => {
    const { promise: late, reject: fail } = withResolvers()
    const handled = jest.spyOn(late, 'then')
    await within(100, () => late, AbortSignal.abort()).catch(() => undefined)
    expect(handled).toHaveBeenCalled()
    fail(new Error('late'))
    await expect(late).rejects.toThrow('late')
  })

  test('is known by its own error alone', () => {
    for (const err of [
      new Error('TimeoutError'),
      undefined,
      'TimeoutError',
      new DOMException('x', 'AbortError'),
    ]) {
      expect(isTimeout(err)).toBe(false)
    }
  })
})

describe('waiting until a signal', () => {
  const never = new Promise<never>(() => undefined)

  test('gives the value that came in time', async () => {
    const { signal } = new AbortController()
    await expect(abortable(Promise.resolve('value'), signal)).resolves.toBe('value')
  })

  test('gives the failure that came in time', async () => {
    const { signal } = new AbortController()
    await expect(abortable(Promise.reject(new Error('no')), signal)).rejects.toThrow('no')
  })

  test('ends with the signal and its reason', async () => {
    const controller = new AbortController()
    const waiting = abortable(never, controller.signal)
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
  })

  test('does not begin after the signal', async () => {
    await expect(abortable(never, AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late')
  })

  test('looks after a failure even when it does not wait for it, since that would end the process', async () => {
    const { promise: late, reject: fail } = withResolvers()
    const handled = jest.spyOn(late, 'then')
    await abortable(late, AbortSignal.abort(new Error('too late'))).catch(() => undefined)
    expect(handled).toHaveBeenCalled()
    fail(new Error('late'))
    await expect(late).rejects.toThrow('late')
  })

  test('leaves nothing at the signal', async () => {
    const { signal } = new AbortController()
    await abortable(Promise.resolve(), signal)
    await abortable(Promise.reject(new Error('no')), signal).catch(() => undefined)
    expect(listeners(signal)).toBe(0)
  })

  test('hears nothing of a failure that comes later', async () => {
    const controller = new AbortController()
    const { promise: late, reject: fail } = withResolvers()
    const waiting = abortable(late, controller.signal)
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    fail(new Error('late'))
    await expect(late).rejects.toThrow('late')
  })
})

describe('a call of ours that a signal may end', () => {
  test('gives its value or its failure, with a signal and without', async () => {
    for (const signal of [undefined, new AbortController().signal]) {
      await expect(inTime(signal, Promise.resolve('value'))).resolves.toBe('value')
      await expect(inTime(signal, Promise.reject(new RangeError('no')))).rejects.toThrow(RangeError)
    }
  })

  test('ends with the signal, in an error of ours', async () => {
    const controller = new AbortController()
    const waiting = inTime(controller.signal, new Promise(() => undefined))
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toMatchObject({
      code: 'provider_unavailable',
      status: 504,
      cause: { message: 'enough' },
    })
  })
})

function withResolvers(): { promise: Promise<never>; reject: (err: Error) => void } {
  let reject: ((err: Error) => void) | undefined
  const promise = new Promise<never>((_resolve, rejecting) => {
    reject = rejecting
  })
  return { promise, reject: (err) => reject?.(err) }
}
