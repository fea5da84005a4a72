import { resolveOptions, type SandboxOptions } from './options.js'
import { withPeers } from './peers.js'
import type { Sandbox } from './sandbox.js'

/**
 * Starts a whole IDPartner on loopback, in this process and in memory: the proxy with its account selector, the trust
 * directory, and banks with people to log in as.
 *
 * For development and tests only: everybody knows the passwords. Needs optional peer dependencies, and says which.
 *
 * @throws {Error} where a peer is missing, and under `NODE_ENV=production`
 * @throws {TypeError} for an option that is unknown, wrong or contradicts another
 */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const resolved = resolveOptions(options)
  if (process.env.NODE_ENV === 'production' && !resolved.allow_production) {
    throw new Error(
      'startSandbox: NODE_ENV is "production", and here anybody can log in as anybody; set allow_production to start all the same',
    )
  }
  const { openSandbox } = await withPeers(() => quietly(() => import('./sandbox.js')))
  return openSandbox(resolved)
}

/** oidc-provider warns about every Node.js before 22 while it is being loaded; the sandbox prints nothing. */
async function quietly<T>(load: () => Promise<T>): Promise<T> {
  const { warn } = console
  console.warn = (...args: unknown[]) => {
    if (!String(args[0]).includes('oidc-provider WARNING: Unsupported runtime')) warn(...args)
  }
  try {
    return await load()
  } finally {
    console.warn = warn
  }
}
