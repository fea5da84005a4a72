import { expect } from '@jest/globals'
import { IDPartnerError, type ErrorCode, type MissingReason } from 'passport-idpartner'
import type { Scene } from './scene.js'
import type { Settled } from './settle.js'

/** How each code ends by default: what the contract promises. */
const CONTRACT: Record<ErrorCode, { via: 'fail' | 'error'; status: number }> = {
  access_denied: { via: 'fail', status: 401 },
  login_missing: { via: 'fail', status: 401 },
  response_invalid: { via: 'fail', status: 401 },
  provider_refused: { via: 'fail', status: 403 },
  provider_error: { via: 'error', status: 502 },
  provider_unavailable: { via: 'error', status: 502 },
  token_invalid: { via: 'error', status: 502 },
  config_invalid: { via: 'error', status: 500 },
}

/** What a refusal is expected to be; the contract fills in the rest. */
export interface Refusal {
  code: ErrorCode
  via?: 'fail' | 'error'
  status?: number
  reason?: MissingReason
  providerError?: string | undefined
  message?: RegExp
}

/** Compares outcome, code, status and reason, all of them. */
export function expectRefused(settled: Settled, refusal: Refusal): void {
  const { code, via, status } = { ...CONTRACT[refusal.code], ...refusal }
  const value = (settled.value ?? {}) as Record<string, unknown>
  expect({
    via: settled.via,
    code: value['code'] ?? settled.value,
    status: settled.status,
    reason: value['reason'],
  }).toEqual({
    via,
    code,
    status,
    reason: refusal.reason,
  })
  if ('providerError' in refusal) expect(value['providerError']).toBe(refusal.providerError)
  if (refusal.message) expect(value['message']).toMatch(refusal.message)
  if (via === 'error') {
    expect(settled.value).toBeInstanceOf(IDPartnerError)
    expect(value).toMatchObject({ name: 'IDPartnerError', status, statusCode: status })
  }
}

/** The person is logged in, with the claims of the bank and nobody else's. */
export function expectLoggedIn(settled: Settled, { platform, logins }: Scene): void {
  expect(settled).toMatchObject({ via: 'success', value: { sub: platform.person.sub } })
  expect(logins.at(-1)?.claims).toMatchObject({ ...platform.person })
}

/** No request went anywhere but there. */
export function expectOnly({ requests }: Scene['platform'], allowed: readonly string[]): void {
  expect(requests.filter((endpoint) => !allowed.includes(endpoint))).toEqual([])
}
