import type { PlatformOptions } from './platform.js'

/** A profile, a way to authenticate and a way to bind tokens, by a name for titles. */
export interface Setup {
  setup: string
  options: PlatformOptions
}

const proven = { flow: 'direct', alg: 'ES256', dpop: true } satisfies PlatformOptions
const certified = {
  flow: 'direct',
  alg: 'ES256',
  auth: 'tls_client_auth',
  mutual: true,
} satisfies PlatformOptions

/** Where a bank signs its answers. */
export const signedAnswers: Setup[] = [
  {
    setup: 'FAPI 1.0 and a certificate',
    options: { ...certified, profile: 'fapi1-advanced', encrypted: false },
  },
  {
    setup: 'FAPI 2.0, JARM and DPoP',
    options: { ...proven, profile: 'fapi2-security', responseMode: 'jwt', encrypted: false },
  },
  {
    setup: 'FAPI 2.0, message signing and DPoP',
    options: {
      ...proven,
      profile: 'fapi2-message-signing',
      auth: 'tls_client_auth',
      mutual: true,
      encrypted: false,
    },
  },
]

/** Where it signs none. */
export const plainAnswers: Setup[] = [
  {
    setup: 'FAPI 2.0 and DPoP',
    options: { ...proven, profile: 'fapi2-security', encrypted: false },
  },
  {
    setup: 'FAPI 2.0 and a certificate',
    options: { ...certified, profile: 'fapi2-security', encrypted: false },
  },
  {
    setup: 'FAPI 2.0, message signing with plain answers',
    options: { ...proven, profile: 'fapi2-message-signing', responseMode: 'query', encrypted: false },
  },
]

/** Each way once in which codes are exchanged and tokens bound. */
export const tokenSetups: Setup[] = [...signedAnswers.slice(2), ...plainAnswers.slice(0, 2)]
