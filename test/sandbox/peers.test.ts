import { afterEach, expect, jest, test } from '@jest/globals'

const options = {
  client_id: 'app',
  callback: 'http://localhost:3001/callback',
  jwks_uri: 'http://localhost:3001/jwks',
}

function withoutPackage(name: string) {
  jest.unstable_mockModule(name, () => {
    throw Object.assign(new Error(`Cannot find package '${name}'`), { code: 'ERR_MODULE_NOT_FOUND' })
  })
}

afterEach(() => {
  jest.resetModules()
})

test('without selfsigned only client certificates are missing', async () => {
  withoutPackage('selfsigned')
  const { startSandbox } = await import('../../lib/sandbox/index.js')
  await expect(startSandbox({ ...options, token_endpoint_auth_method: 'tls_client_auth' })).rejects.toThrow(
    'The sandbox needs the package "selfsigned": npm install --save-dev selfsigned',
  )
})

test('without oidc-provider the sandbox can be imported, and says what to install when it is started', async () => {
  withoutPackage('oidc-provider')
  const { startSandbox } = await import('../../lib/sandbox/index.js')
  await expect(startSandbox(options)).rejects.toThrow(
    'The sandbox needs the package "oidc-provider": npm install --save-dev oidc-provider',
  )
})
