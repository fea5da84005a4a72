/* What the compiler accepts and refuses: `npm run typecheck` compiles it, and nothing ever runs it. */
/* eslint-disable @typescript-eslint/no-unused-vars, @typescript-eslint/no-unnecessary-type-parameters -- only types count here */
import type { IncomingMessage } from 'node:http'
import type { Request } from 'express'
import passport from 'passport'
import {
  IDPartner,
  IDPartnerError,
  IDPartnerStrategy,
  generateJwks,
  jwksRouter,
  type ClaimsRequest,
  type Done,
  type ErrorCode,
  type FailureInfo,
  type IDPartnerClaims,
  type IDPartnerConfig,
  type IDPartnerLogin,
  type IDPartnerStrategyOptions,
  type IdentityProvider,
  type LoginStore,
  type MissingReason,
  type PendingLogin,
  type Proofs,
  type TokenSet,
  type Verify,
  type VerifyWithRequest,
} from 'passport-idpartner'
import {
  redactReceipt,
  verifyReceipt,
  verifyRedactedReceipt,
  type VerifiedReceipt,
} from 'passport-idpartner/receipt'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_same: Equal<A, B>): void => undefined

declare const config: IDPartnerConfig
declare const user: { id: string }

/* Options */

export const minimal: IDPartnerConfig = { client_id: 'app', callback: 'https://app.example/callback' }
export const generated: IDPartnerConfig = { ...minimal, jwks: await generateJwks({ modulusLength: 3072 }) }
export const trusting: IDPartnerConfig = {
  ...minimal,
  flow: 'direct',
  trusted_issuers: (issuer) => Promise.resolve(issuer.endsWith('.example')),
  tls_client_cert: Buffer.from(''),
  tls_client_key: '',
}
export const strategyOptions: IDPartnerStrategyOptions = { ...config, scope: 'openid', loginTtl: 60 }

// @ts-expect-error the callback is required
export const withoutCallback: IDPartnerConfig = { client_id: 'app' }
// @ts-expect-error a misspelt option
export const misspelt: IDPartnerConfig = { ...minimal, clientId: 'app' }
// @ts-expect-error an algorithm that is never accepted
export const weak: IDPartnerConfig = { ...minimal, id_token_signed_response_alg: 'RS256' }
// @ts-expect-error an authentication that is not offered
export const post: IDPartnerConfig = { ...minimal, token_endpoint_auth_method: 'client_secret_post' }
// @ts-expect-error a list, and not a single issuer
export const oneIssuer: IDPartnerConfig = { ...minimal, trusted_issuers: 'https://bank.example' }

/* The two forms of verify */

new IDPartnerStrategy(config, (login, done) => {
  same<typeof login, IDPartnerLogin>(true)
  same<typeof done, Done>(true)
  done(null, user, { remember: true })
  done(null, false)
  done(new Error('no'))
})
new IDPartnerStrategy({ ...config, passReqToCallback: false }, (login) => Promise.resolve(login.claims))
new IDPartnerStrategy({ ...config, passReqToCallback: true }, (req, login, done) => {
  same<typeof req, Request>(true)
  same<typeof login, IDPartnerLogin>(true)
  same<typeof done, Done>(true)
})
new IDPartnerStrategy<IncomingMessage>({ ...config, passReqToCallback: true }, (req) => {
  same<typeof req, IncomingMessage>(true)
  return Promise.resolve(user)
})

// @ts-expect-error the request comes first
new IDPartnerStrategy({ ...config, passReqToCallback: true }, (login: IDPartnerLogin, done: Done) => {
  done(null, login.claims)
})
// @ts-expect-error no request without passReqToCallback
new IDPartnerStrategy(config, (req: Request, login: IDPartnerLogin, done: Done) => {
  done(null, { req, login })
})
// @ts-expect-error verify is required
new IDPartnerStrategy(config)

/* What verify may answer */

export const answers: Verify[] = [
  () => undefined,
  () => false,
  () => Promise.resolve(user),
  () => Promise.resolve(false),
  () => Promise.resolve(undefined),
  () => Promise.resolve(),
  (_login, done) => {
    done(null, user)
  },
  // eslint-disable-next-line @typescript-eslint/require-await -- as an application may write it
  async () => user,
]
export const withRequest: VerifyWithRequest<Request> = (req) => Promise.resolve({ id: req.ip })

// @ts-expect-error a plain user would be ignored
export const plainUser: Verify = () => user
// @ts-expect-error a plain true would be ignored
export const plainTrue: Verify = () => true
// @ts-expect-error a plain null would be ignored
export const plainNull: Verify = () => null
// @ts-expect-error a user is an object
export const textUser: Verify = () => Promise.resolve('user')
// @ts-expect-error nobody is false
export const nullUser: Verify = () => Promise.resolve(null)
export const textDone: Verify = (_login, done) => {
  // @ts-expect-error a user is an object
  done(null, 'user')
}

/* What a login holds */

export function readLogin(login: IDPartnerLogin): void {
  same<typeof login.claims, IDPartnerClaims>(true)
  same<typeof login.identityProvider, IdentityProvider>(true)
  same<typeof login.tokens, TokenSet>(true)
  same<typeof login.interactionId, string>(true)
  same<typeof login.state, unknown>(true)
  same<typeof login.receipt, string | undefined>(true)
  same<typeof login.claims.sub, string>(true)
  same<typeof login.claims.email, string | undefined>(true)
  same<typeof login.claims.age_over_18, boolean | undefined>(true)
  same<(typeof login.claims)['vc.MockBankCredential'], unknown>(true)
  // @ts-expect-error a claim may be missing
  login.claims.email.toLowerCase()
  // @ts-expect-error userinfo may be missing
  same<typeof login.userInfo.sub, string>(true)
}

/* Codes */

export function whatToDo(code: ErrorCode): string {
  switch (code) {
    case 'access_denied':
      return 'offer another way'
    case 'login_missing':
    case 'response_invalid':
      return 'begin again'
    case 'provider_refused':
      return 'choose another bank'
    case 'provider_error':
    case 'provider_unavailable':
    case 'token_invalid':
      return 'come back later'
    case 'config_invalid':
      return 'call the developer'
    default: {
      const never: never = code
      return never
    }
  }
}

export function forgetful(code: ErrorCode): string {
  switch (code) {
    case 'access_denied':
      return 'offer another way'
    default: {
      // @ts-expect-error there are more codes
      const never: never = code
      return never
    }
  }
}

export function readError(err: unknown): void {
  if (!(err instanceof IDPartnerError)) return
  same<typeof err.code, ErrorCode>(true)
  same<typeof err.status, number>(true)
  same<typeof err.statusCode, number>(true)
  same<typeof err.reason, MissingReason | undefined>(true)
  same<typeof err.name, 'IDPartnerError'>(true)
  // @ts-expect-error the code of an error stays what it is
  err.code = 'access_denied'
}

export const failure: FailureInfo = { code: 'login_missing', message: 'text', reason: 'expired' }

/* Passport and requests */

passport.use(new IDPartnerStrategy(config, () => Promise.resolve(user)))
export const claims: ClaimsRequest = {
  id_token: { birthdate: { essential: true } },
  userinfo: { email: null },
}
passport.authenticate('idpartner', { scope: ['openid'], claims, prompt: 'consent', state: '/orders' })
passport.authenticate('idpartner', { max_age: 600, acr_values: 'gold' })
passport.authenticate('idpartner', {
  login_hint: 'a@b.example',
  authorization_details: [{ type: 'payment' }],
})
interface Payment {
  type: 'payment'
  amount: number
}
const payment: Payment = { type: 'payment', amount: 1 }
passport.authenticate('idpartner', { authorization_details: [payment] })
// @ts-expect-error each detail has a type
passport.authenticate('idpartner', { authorization_details: [{ amount: 1 }] })
// @ts-expect-error seconds are a number
passport.authenticate('idpartner', { max_age: '600' })

/* Stores and acceptProvider see the application's request */

interface TenantRequest {
  tenant: string
}
export const store: LoginStore<TenantRequest> = {
  save: (req, _state, login, ttlSeconds) => {
    same<typeof req, TenantRequest>(true)
    same<typeof login, PendingLogin>(true)
    same<typeof ttlSeconds, number>(true)
    return Promise.resolve()
  },
  take: () => Promise.resolve('no_login'),
}
new IDPartnerStrategy<TenantRequest>(
  { ...config, store, acceptProvider: ({ name }, { tenant }) => name === tenant },
  () => false,
)
// @ts-expect-error take gives a login or a reason
store.take = () => Promise.resolve('gone')

/* The client alone */

export async function standAlone(client: IDPartner, proofs: Proofs): Promise<void> {
  same<typeof proofs.codeVerifier, string>(true)
  const { identity_provider, idp_response_code } = await client.unpackProxyResponse({ response: 'x' })
  const found = await client.token(idp_response_code, proofs, identity_provider.issuer_url)
  same<typeof found.claims, IDPartnerClaims>(true)
  const renewed = await client.refreshToken('https://bank.example', found)
  same<typeof renewed, TokenSet>(true)
  await client.refreshToken('https://bank.example', 'refresh-token', { signal: AbortSignal.timeout(1) })
  same<Awaited<ReturnType<typeof client.userInfo>>['sub'], string>(true)
  same<Awaited<ReturnType<typeof client.paymentDetailsInfo>>, unknown>(true)
  // @ts-expect-error a payment is an object
  await client.paymentProcessing('https://bank.example', found, 42)
  // @ts-expect-error userinfo is compared with the login, so a bare token will not do
  await client.userInfo('https://bank.example', 'access-token')
  jwksRouter(client)
}

/* Receipts */

export async function proveReceipt(receipt: string, application: { keys: [] }): Promise<void> {
  const trustAnchors = { application }
  const proven = await verifyReceipt(receipt, { trustAnchors, at: new Date() })
  same<typeof proven, VerifiedReceipt>(true)
  same<typeof proven.claims, IDPartnerClaims>(true)
  same<typeof proven.keysKnownBy, 'issuers' | 'application'>(true)
  const stated = await verifyRedactedReceipt(redactReceipt(receipt), { trustAnchors })
  same<typeof stated.ended, number>(true)
  // @ts-expect-error a redacted one says nothing of a person
  console.log(stated.claims)
  // @ts-expect-error keys that are known from elsewhere are required
  await verifyReceipt(receipt, {})
}

export const verified: ClaimsRequest = {
  id_token: {
    name: { essential: true },
    verified_claims: {
      verification: { trust_framework: { value: 'eidas' }, evidence: [{ type: { value: 'document' } }] },
      claims: { given_name: null, birthdate: { essential: true } },
    },
  },
  userinfo: { verified_claims: [{ verification: { trust_framework: null }, claims: { name: null } }] },
}
export const unverified: ClaimsRequest = {
  // @ts-expect-error -- of no framework
  id_token: { verified_claims: { verification: {}, claims: { name: null } } },
}
