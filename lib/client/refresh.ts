import { IDPartnerError } from '../errors.js'
import { loginStep, trace } from '../events.js'
import { logNotRefreshed } from './log.js'
import { partyOf } from './party.js'
import { bound, callOf, type CallOptions, type Providers } from './providers.js'
import { checkRefreshed, checkToken, checkTokens, goesOn, type TokenSet } from './tokens.js'

/** Renews tokens at the bank that issued them; what a set says of the login goes on. */
export async function refresh(
  providers: Providers,
  issuer: string,
  tokens: TokenSet | string,
  options: CallOptions,
): Promise<TokenSet> {
  if (typeof tokens !== 'string') checkTokens(tokens, issuer)
  const refreshToken = typeof tokens === 'string' ? tokens : tokens.refresh_token
  if (!refreshToken) {
    throw new IDPartnerError(
      'config_invalid',
      'there is no refresh token; ask for scope "offline_access" with prompt "consent"',
    )
  }
  checkToken(refreshToken)
  const { config } = providers
  const step = loginStep(callOf(tokens).interactionId)
  try {
    return await trace('refresh', step, async () => {
      const dpop = callOf(tokens).dpop ?? providers.bindingOf()
      const bank = await providers.allowedOf(issuer, { ...options, dpop }, tokens, 'anew')
      step.issuer = issuer
      const renewed = bound(await bank.refresh(refreshToken), dpop)
      const earlier = typeof tokens === 'string' ? undefined : tokens.claims
      if (earlier && renewed.claims) checkRefreshed(renewed.claims, earlier, partyOf(issuer, config))
      const claims = renewed.claims ?? earlier
      const before = { refresh_token: refreshToken, ...(typeof tokens === 'object' && goesOn(tokens)) }
      return providers.vouched(bank, { ...before, ...renewed, ...(claims && { claims }) })
    })
  } catch (err) {
    logNotRefreshed(config.log, err, step)
    throw err
  }
}
