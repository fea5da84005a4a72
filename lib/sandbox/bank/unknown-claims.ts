import { decodeJwt } from 'jose'
import type { Provider } from 'oidc-provider'
import { claimNames, claimsByScope } from './claims.js'
import type { Persona } from './personas.js'

/** What of a request is looked at. */
export interface Asked {
  scope?: unknown
  claims?: unknown
}

/**
 * Warns, once of each, of scopes and claims that mean nothing at a bank: a slip of the pen is otherwise seen only in what
 * does not come.
 */
export function warnOfUnknown(bank: string, personas: readonly Persona[]): (asked: Asked) => void {
  const scopes = claimsByScope(personas)
  const known = new Set([
    ...['', 'openid', 'offline_access', 'sub', 'acr', 'auth_time'],
    ...Object.entries(scopes).flatMap(([scope, claims]) => [scope, ...claims]),
  ])
  return ({ scope, claims }) => {
    for (const name of [...(typeof scope === 'string' ? scope.split(' ') : []), ...claimNames(claims)]) {
      if (known.has(name)) continue
      known.add(name)
      const message = `The app asked ${bank} for "${name}", a scope or claim that this bank does not know.`
      process.emitWarning(message, { type: 'SandboxWarning', code: 'SANDBOX_UNKNOWN_CLAIM' })
    }
  }
}

/** Looks at what the app pushes: oidc-provider drops what it does not know before anybody sees it. */
export function watchPushedRequests(provider: Provider, warn: (asked: Asked) => void): void {
  provider.on('pushed_authorization_request.success', ({ oidc }) => {
    const { request, ...plain } = oidc.body ?? {}
    warn(typeof request === 'string' ? decodeJwt(request) : plain)
  })
}
