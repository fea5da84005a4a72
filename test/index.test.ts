import { afterEach, describe, expect, jest, test } from '@jest/globals'

afterEach(() => {
  jest.resetModules()
})

/** Lets an import of a package fail, as if it were not installed. */
function withoutPackage(name: string): void {
  jest.unstable_mockModule(name, () => {
    throw Object.assign(new Error(`Cannot find package '${name}'`), { code: 'ERR_MODULE_NOT_FOUND' })
  })
}

describe('the package', () => {
  test('exports this, and nothing else', async () => {
    expect(Object.keys(await import('../lib/index.js')).sort()).toEqual([
      'IDPartner',
      'IDPartnerError',
      'IDPartnerStrategy',
      'generateJwks',
      'jwksRouter',
    ])
  })

  test.each(['oidc-provider', 'selfsigned', 'express', 'passport'])('does not load %s', async (name) => {
    withoutPackage(name)
    await expect(import(name)).rejects.toThrow('Cannot find package')
    await expect(import('../lib/index.js')).resolves.toHaveProperty('IDPartnerStrategy')
  })

  test('does nothing when it is loaded: no timer, no listener, no request', async () => {
    const timers = [jest.spyOn(globalThis, 'setInterval'), jest.spyOn(globalThis, 'fetch')]
    await import('../lib/index.js')
    for (const timer of timers) expect(timer).not.toHaveBeenCalled()
  })
})
