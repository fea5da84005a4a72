import { describe, expect, test } from '@jest/globals'
import { set, without } from '../support/bends.js'
import { expectOnly, expectRefused } from '../support/expectations.js'
import { plainAnswers, signedAnswers } from '../support/profiles.js'
import { nextScene, useScenes } from '../support/scene.js'
import { otherIssuer, unfit, type MetadataRow } from './metadata-rows.js'

useScenes()

/** Those of which all endpoints are over TLS or all are not, as the rows have them. */
const setups = [...signedAnswers, ...plainAnswers].filter(({ options }) => !options.mutual)

describe.each(setups)("with $setup a bank's discovery document is refused when", ({ options }) => {
  test.each<MetadataRow>([
    ...otherIssuer,
    ...unfit,
    { name: 'it names no "jwks_uri"', change: without('jwks_uri') },
    { name: 'it names no "token_endpoint"', change: without('token_endpoint') },
    { name: 'it takes no PKCE of ours', change: set({ code_challenge_methods_supported: ['plain'] }) },
    {
      name: 'it knows no way of ours to authenticate',
      change: set({ token_endpoint_auth_methods_supported: ['client_secret_post'] }),
    },
    {
      name: 'it answers in no way that is taken',
      change: set({ response_modes_supported: ['fragment'] }),
    },
    { name: 'it knows none of our proofs', change: set({ dpop_signing_alg_values_supported: ['RS256'] }) },
  ])('$name', async ({ change }) => {
    const { platform, victim } = await nextScene(options)
    platform.bankA.metadata = change
    expectRefused(await victim.login({ iss: platform.bankA.issuer }), { code: 'provider_unavailable' })
    expectOnly(platform, ['bankA.discovery'])
    expect(victim.session).toEqual({})
  })
})
