import type { KoaContextWithOIDC, Provider } from 'oidc-provider'
import { continuePage } from '../pages/continue.js'
import type { RelyingParty } from '../platform/relying-party.js'

export interface AnswerDelivery {
  relyingParty: RelyingParty
  /** Takes an answer to a request that came through the proxy; says where the browser goes, unless it came too late. */
  returnToProxy: (transaction: string, answer: string) => string | undefined
  /** Shows a page in place of whatever the bank was about to answer. */
  showError: (ctx: KoaContextWithOIDC, problem: string) => void
}

/** Sends the browser with the bank's answer to the proxy when the request came from there, else to the app. */
export function deliverAnswers(
  provider: Provider,
  { relyingParty, returnToProxy, showError }: AnswerDelivery,
): void {
  provider.use(async (context, next) => {
    await next()
    const ctx = context as KoaContextWithOIDC
    const answer = answerIn(ctx)
    // oidc is there on the provider's own routes alone.
    if (answer === undefined || !('oidc' in ctx)) return
    const { proxy_transaction: transaction, response_mode: mode } = ctx.oidc.params ?? {}
    if (typeof transaction === 'string') {
      const location = returnToProxy(transaction, answer)
      if (location === undefined)
        showError(ctx, 'This login was finished in another tab, or has waited for too long.')
      else ctx.set('location', location)
    } else if (mode === 'form_post.jwt') {
      ctx.body = String(
        continuePage({ action: relyingParty.callback, fields: { response: answer }, app: relyingParty }),
      )
    } else {
      // oidc-provider spells the callback's own query anew.
      ctx.set('location', relyingParty.callbackWith({ response: answer }))
    }
  })
}

/** The bank's answer, when this response carries one to the app. */
function answerIn({ response, body }: KoaContextWithOIDC): string | undefined {
  const location = response.get('location')
  const inQuery = URL.canParse(location) ? new URL(location).searchParams.get('response') : null
  if (inQuery !== null) return inQuery
  return typeof body === 'string' ? /name="response" value="([\w.-]+)"/.exec(body)?.[1] : undefined
}
