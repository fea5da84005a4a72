import { afterEach, expect, jest, test } from '@jest/globals'

const options = {
  client_id: 'app',
  callback: 'http://localhost:3001/callback',
  jwks_uri: 'http://localhost:3001/jwks',
}

const mocked = new Set<string>()

function whenLoading(name: string, fail: () => never): void {
  mocked.add(name)
  jest.unstable_mockModule(name, fail)
}

function withoutPackage(name: string): void {
  whenLoading(name, () => {
    throw Object.assign(new Error(`Cannot find package '${name}'`), { code: 'ERR_MODULE_NOT_FOUND' })
  })
}

afterEach(() => {
  jest.resetModules()
  for (const name of mocked) jest.unstable_unmockModule(name)
  mocked.clear()
})

test('without selfsigned only client certificates are missing', async () => {
  withoutPackage('selfsigned')
  const { startSandbox } = await import('../../lib/sandbox/index.js')
  await expect(startSandbox({ ...options, token_endpoint_auth_method: 'tls_client_auth' })).rejects.toThrow(
    'The sandbox needs the package "selfsigned": npm install --save-dev selfsigned',
  )
})

test.each(['oidc-provider', 'router', '@remix-run/html-template'])(
  'without %s the sandbox can be imported, and says what to install when it is started',
  async (name) => {
    withoutPackage(name)
    const { FAULTS, startSandbox } = await import('../../lib/sandbox/index.js')
    expect(FAULTS).toHaveProperty('slow')
    await expect(startSandbox(options)).rejects.toThrow(
      `The sandbox needs the package "${name}": npm install --save-dev oidc-provider router @remix-run/html-template`,
    )
  },
)

test('an error of another kind is not taken for a missing package', async () => {
  whenLoading('oidc-provider', () => {
    throw new TypeError("Cannot read 'router'")
  })
  const { startSandbox } = await import('../../lib/sandbox/index.js')
  await expect(startSandbox(options)).rejects.toThrow(new TypeError("Cannot read 'router'"))
})
