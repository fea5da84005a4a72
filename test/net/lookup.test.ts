import dns, { type LookupAddress } from 'node:dns'
import dgram from 'node:dgram'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { HostLookup } from '../../lib/net/lookup.js'
import { travel, useClock } from '../support/clock.js'

useClock()

const sockets: dgram.Socket[] = []

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close()
  jest.useRealTimers()
  jest.restoreAllMocks()
})

const PUBLIC = { address: '93.184.215.14', family: 4 }

type Answer = (err: Error | null, found?: LookupAddress[]) => void

/** The system's lookup, which answers when the test wants it to. */
class System {
  readonly asked: string[] = []
  readonly #waiting = new Map<string, Answer>()

  constructor() {
    jest.spyOn(dns, 'lookup').mockImplementation(((name: string, _options: unknown, answer: Answer) => {
      this.asked.push(name)
      this.#waiting.set(name, answer)
    }) as unknown as typeof dns.lookup)
  }

  answer(name: string, ...found: LookupAddress[]): void {
    this.#waiting.get(name)?.(null, found)
  }

  fail(name: string, code: string): void {
    this.#waiting.get(name)?.(Object.assign(new Error(`getaddrinfo ${code}`), { code }))
  }
}

/** What the DNS itself knows; it is silent about other names. */
function domainNames(names: Record<string, string[]>): { asked: string[]; cancelled: () => number } {
  const asked: string[] = []
  const { prototype } = dns.promises.Resolver
  const answer = (name: string, is: (address: string) => boolean): Promise<string[]> => {
    const found = names[name]?.filter(is)
    if (!found) return new Promise(() => undefined)
    return found.length > 0 ? Promise.resolve(found) : Promise.reject(new Error('queryA ENODATA'))
  }
  jest.spyOn(prototype, 'resolve4').mockImplementation((name: string) => {
    asked.push(name)
    return answer(name, (address) => !address.includes(':'))
  })
  jest
    .spyOn(prototype, 'resolve6')
    .mockImplementation((name: string) => answer(name, (address) => address.includes(':')))
  const cancel = jest.spyOn(prototype, 'cancel')
  return { asked, cancelled: () => cancel.mock.calls.length }
}

function find(names: HostLookup, name: string, all = true): Promise<unknown> {
  return new Promise((resolve, reject) => {
    names.lookup(name, { all }, (err, found, family) => {
      if (err) reject(err)
      else resolve(family === undefined ? found : { address: found, family })
    })
  })
}

describe('a name', () => {
  test('is looked up by the system', async () => {
    const system = new System()
    const found = find(new HostLookup(), 'bank.example')
    system.answer('bank.example', PUBLIC)
    await expect(found).resolves.toEqual([PUBLIC])
  })

  test('has one address where one is asked for', async () => {
    const system = new System()
    const found = find(new HostLookup(), 'bank.example', false)
    system.answer('bank.example', PUBLIC, { address: '93.184.215.15', family: 4 })
    await expect(found).resolves.toEqual(PUBLIC)
  })

  test('is looked up once for all who ask at the same time', async () => {
    const system = new System()
    const names = new HostLookup()
    const found = Promise.all(Array.from({ length: 50 }, () => find(names, 'bank.example')))
    system.answer('bank.example', PUBLIC)
    expect(await found).toHaveLength(50)
    expect(system.asked).toEqual(['bank.example'])
  })

  test('is looked up anew for whoever asks later, as it may lead elsewhere then', async () => {
    const system = new System()
    const names = new HostLookup()
    const first = find(names, 'bank.example')
    system.answer('bank.example', PUBLIC)
    await first
    const second = find(names, 'bank.example')
    system.answer('bank.example', { address: '10.0.0.1', family: 4 })
    await expect(second).rejects.toMatchObject({ message: expect.stringContaining('private address') })
  })

  test('that nobody knows is not looked up again for three seconds', async () => {
    const system = new System()
    const names = new HostLookup()
    const first = find(names, 'bank.example')
    system.fail('bank.example', 'ENOTFOUND')
    await expect(first).rejects.toMatchObject({ code: 'ENOTFOUND' })
    travel(2000)
    await expect(find(names, 'bank.example')).rejects.toMatchObject({ code: 'ENOTFOUND' })
    expect(system.asked).toHaveLength(1)
    travel(1000)
    const later = find(names, 'bank.example')
    system.answer('bank.example', PUBLIC)
    await expect(later).resolves.toEqual([PUBLIC])
  })

  test('of this machine is that of localhost, whatever the DNS says', async () => {
    const system = new System()
    const names = new HostLookup()
    const found = find(names, 'app.localhost')
    system.answer('localhost', { address: '127.0.0.1', family: 4 })
    await expect(found).resolves.toEqual([{ address: '127.0.0.1', family: 4 }])
    expect(system.asked).toEqual(['localhost'])
    const elsewhere = find(names, 'app.localhost')
    system.answer('localhost', PUBLIC)
    await expect(elsewhere).rejects.toMatchObject({ message: expect.stringContaining('private address') })
  })
})

describe('a name whose servers are silent', () => {
  test('is given up after three seconds, and at once for three more', async () => {
    jest.useFakeTimers()
    const system = new System()
    const dnsItself = domainNames({})
    const names = new HostLookup()
    const tooSlow = { message: 'has a name that was not resolved in time', status: 504 }
    const first = expect(find(names, 'silent.example')).rejects.toMatchObject(tooSlow)
    await jest.advanceTimersByTimeAsync(3000)
    await first
    await expect(find(names, 'silent.example')).rejects.toMatchObject(tooSlow)
    expect(system.asked).toEqual(['silent.example'])
    expect(dnsItself.asked).toEqual(['silent.example'])
    expect(dnsItself.cancelled()).toBe(1)
    expect(jest.getTimerCount()).toBe(0)
  })

  test('has one thread at most, however often and under however many names', async () => {
    jest.useFakeTimers()
    const system = new System()
    domainNames({})
    const names = new HostLookup()
    for (let second = 0; second < 30; second += 2) {
      for (const name of ['silent.example', `silent-${String(second)}.example`]) {
        find(names, name).catch(() => undefined)
      }
      await jest.advanceTimersByTimeAsync(2000)
    }
    expect(system.asked).toEqual(['silent.example'])
  })

  test('does not keep others waiting: they are found in the DNS', async () => {
    jest.useFakeTimers()
    const system = new System()
    const honest = ['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c']
    domainNames({ 'honest.example': honest, 'inside.example': ['10.0.0.1'] })
    const names = new HostLookup()
    find(names, 'silent.example').catch(() => undefined)
    const found = expect(find(names, 'honest.example')).resolves.toEqual([
      { address: honest[0], family: 4 },
      { address: honest[1], family: 6 },
    ])
    const refused = expect(find(names, 'inside.example')).rejects.toMatchObject({
      message: expect.stringContaining('private address'),
    })
    await jest.advanceTimersByTimeAsync(300)
    await found
    await refused
    expect(system.asked).toEqual(['silent.example'])
  })

  test('leaves its turn to the next when the system has given up', async () => {
    jest.useFakeTimers()
    const system = new System()
    domainNames({ 'known-to-hosts.example': [] })
    const names = new HostLookup()
    const silent = find(names, 'silent.example').catch((err: unknown) => err)
    const known = find(names, 'known-to-hosts.example')
    await jest.advanceTimersByTimeAsync(300)
    system.fail('silent.example', 'EAI_AGAIN')
    expect(await silent).toMatchObject({ code: 'EAI_AGAIN' })
    await jest.advanceTimersByTimeAsync(0)
    system.answer('known-to-hosts.example', PUBLIC)
    await expect(known).resolves.toEqual([PUBLIC])
  })

  test('does not keep localhost waiting', async () => {
    jest.useFakeTimers()
    const system = new System()
    const names = new HostLookup()
    find(names, 'silent.example').catch(() => undefined)
    const found = find(names, 'localhost')
    system.answer('localhost', { address: '::1', family: 6 })
    await expect(found).resolves.toEqual([{ address: '::1', family: 6 }])
  })

  test('is asked for at its servers, and no longer once it was given up', async () => {
    const silent = dgram.createSocket('udp4')
    const queries: Buffer[] = []
    silent.on('message', (query) => queries.push(query))
    sockets.push(silent)
    await new Promise<void>((resolve) => {
      silent.bind(0, '127.0.0.1', resolve)
    })
    const server = `127.0.0.1:${String(silent.address().port)}`
    const { Resolver } = dns.promises
    const cancels: unknown[] = []
    jest.spyOn(dns.promises, 'Resolver').mockImplementation(((options: dns.ResolverOptions) => {
      const resolver = new Resolver(options)
      resolver.setServers([server])
      cancels.push(jest.spyOn(resolver, 'cancel'))
      return resolver
    }) as never)
    new System()
    await expect(find(new HostLookup(), 'silent.example')).rejects.toMatchObject({ status: 504 })
    expect(queries.length).toBeGreaterThan(0)
    expect(cancels).toHaveLength(1)
    expect(cancels[0]).toHaveBeenCalledTimes(1)
  }, 20_000)
})
