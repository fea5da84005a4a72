import { errors, Provider, type KoaContextWithOIDC } from 'oidc-provider'
import { deliverAnswers, type AnswerDelivery } from './answers.js'
import { bankConfiguration, type BankConfigurationInput } from './configuration.js'
import type { EndedSteps } from './ended-steps.js'
import { followNetwork } from './network-rules.js'
import { bendAnswers, type AnswerBending } from './faults.js'
import { repeatSteps } from './repeated-steps.js'
import { errorPage } from '../pages/error.js'
import { logoutAnswerPage, logoutPage } from '../pages/logout.js'
import { CONTENT_SECURITY_POLICY, PAGE_HEADERS } from '../http/reply.js'
import { certificateProblem } from '../http/tls.js'

export interface BankProviderInput
  extends
    Omit<BankConfigurationInput, 'client' | 'renderError' | 'renderLogout' | 'renderLogoutAnswer'>,
    Omit<AnswerDelivery, 'showError'>,
    AnswerBending {
  steps: EndedSteps
  /** A nonce for DPoP was given away. */
  noteNonce: (nonce: string) => void
  /** A request of the app was refused. */
  refused: (what: string, why: string) => void
}

/** Makes the OpenID Provider of a bank, with what the sandbox adds before and after it. */
export function createBankProvider(input: BankProviderInput): Provider {
  const { name, id, relyingParty, network } = input
  const showError: AnswerDelivery['showError'] = (ctx, problem) => {
    if (ctx.status < 400) ctx.status = 400
    ctx.remove('location')
    ctx.type = 'html'
    const advice = 'Start again. If it happens again, the app has to send another request.'
    const title = `${name} cannot go on`
    ctx.body = String(errorPage({ title, problems: [problem], advice, theme: id, app: relyingParty }))
  }
  const configuration = bankConfiguration({
    ...input,
    client: async (clientId) => {
      if (clientId !== relyingParty.clientId) return undefined
      return relyingParty.registration().catch((err: unknown) => {
        throw new errors.InvalidClientMetadata(messageOf(err))
      })
    },
    renderLogout: (form) => String(logoutPage({ bank: { id, name }, app: relyingParty, form })),
    renderLogoutAnswer: (isLoggedIn) =>
      String(logoutAnswerPage({ bank: { id, name }, app: relyingParty, isLoggedIn })),
    renderError: (ctx, out, err) => {
      showError(ctx, `${out.error}: ${out.error_description ?? err.message}`)
    },
  })
  const provider = new Provider(input.issuer, configuration)
  // Koa prints errors otherwise; here a page shows them.
  provider.silent = true
  explainRefusals(provider, input.refused)
  addHeaders(provider, input.noteNonce)
  provider.use(async (context, next) => {
    const ctx = context as KoaContextWithOIDC
    const problem = certificateProblem(ctx.req)
    if (problem !== undefined) {
      refuseCertificate(ctx, problem)
      input.refused('a request', problem)
    } else {
      await next().catch((err: unknown) => {
        ctx.status = 500
        showError(ctx, messageOf(err))
      })
    }
    if (isDeadEnd(ctx)) {
      const { status } = ctx
      // Said aloud, or a body makes it 200.
      ctx.status = status
      showError(ctx, problemIn(ctx.body) ?? 'This bank has no page at this address.')
    }
  })
  repeatSteps(provider, input.steps)
  deliverAnswers(provider, { ...input, showError })
  bendAnswers(provider, input)
  // Last, so that a fault waits for a request that is taken.
  if (network) followNetwork(provider, { ...input, network })
  return provider
}

/** Where a person stands before what is meant for an app, or before nothing at all. */
function isDeadEnd(ctx: KoaContextWithOIDC): boolean {
  return ctx.status >= 400 && ctx.type !== 'text/html' && ctx.accepts('json', 'html') === 'html'
}

function problemIn(body: unknown): string | undefined {
  const { error, error_description: why } = (body ?? {}) as { error?: string; error_description?: string }
  return error === undefined ? undefined : [error, why].filter(Boolean).join(': ')
}

function addHeaders(provider: Provider, noteNonce: (nonce: string) => void): void {
  provider.use(async (ctx, next) => {
    const interactionId = ctx.get('x-fapi-interaction-id')
    if (interactionId !== '') ctx.set('x-fapi-interaction-id', interactionId)
    // Before anything else, since oidc-provider adds the hash of its own script to it.
    ctx.set('Content-Security-Policy', CONTENT_SECURITY_POLICY)
    await next()
    const nonce = ctx.response.get('dpop-nonce')
    if (nonce !== '') noteNonce(nonce)
    const policy = ctx.response.get('Content-Security-Policy')
    if (ctx.type === 'text/html') ctx.set({ ...PAGE_HEADERS, 'Content-Security-Policy': policy })
    else ctx.remove('Content-Security-Policy')
  })
}

/** Not the app's doing: what the person or the bank said, and what each first proof is told (RFC 9449, section 8). */
const USUAL =
  /^(access_denied|login_required|consent_required|interaction_required|use_dpop_nonce|server_error|temporarily_unavailable)$/

/** Says why a request was refused; a real bank keeps that to itself, but here it is what one is looking for. */
function explainRefusals(provider: Provider, refused: BankProviderInput['refused']): void {
  const explain = (what: string) => (ctx: { body: unknown }, err: Error) => {
    const {
      error,
      error_description: description,
      error_detail: detail,
    } = err as Partial<errors.OIDCProviderError>
    const why = [description, detail].filter(Boolean).join(': ')
    const { body } = ctx
    if (detail !== undefined && typeof body === 'object' && body !== null) {
      ctx.body = { ...body, error_description: why }
    }
    if (error !== undefined && !USUAL.test(error)) refused(what, `${error}: ${why}`)
  }
  provider.on('grant.error', explain('a token request'))
  provider.on('pushed_authorization_request.error', explain('a pushed request'))
  provider.on('authorization.error', explain('an authorization request'))
  provider.on('userinfo.error', explain('a userinfo request'))
  provider.on('revocation.error', explain('a revocation'))
  provider.on('introspection.error', explain('an introspection'))
  provider.on('end_session.error', explain('a logout'))
}

/** A certificate of the wrong kind is never treated as if there were none. */
function refuseCertificate(ctx: KoaContextWithOIDC, problem: string): void {
  ctx.status = 401
  ctx.body = {
    error: ctx.path.endsWith('/me') ? 'invalid_token' : 'invalid_client',
    error_description: problem,
  }
}

function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err)
}
