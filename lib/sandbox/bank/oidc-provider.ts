import type * as OidcProvider from 'oidc-provider'
import { errorCode } from '../http/error-code.js'

/** Loads the optional peer dependency that the banks are made of. */
export async function loadOidcProvider(): Promise<typeof OidcProvider> {
  const { warn } = console
  // It warns about every Node.js before 22 while it is being loaded; the sandbox is tested with 20 and prints nothing.
  console.warn = (...args: unknown[]) => {
    if (!String(args[0]).includes('oidc-provider WARNING: Unsupported runtime')) warn(...args)
  }
  try {
    return await import('oidc-provider')
  } catch (err) {
    throw missing('oidc-provider', err)
  } finally {
    console.warn = warn
  }
}

/** An error that says what to install, when that is what is wrong. */
export function missing(name: string, err: unknown): unknown {
  const code = errorCode(err)
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') return err
  return new Error(`The sandbox needs the package "${name}": npm install --save-dev ${name}`, { cause: err })
}
