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
    // oidc is there on the provider's own routes alone.
    if (!('oidc' in ctx)) return
    const plain = plainAnswerIn(ctx)
    // oidc-provider spells the callback's own query anew.
    if (plain) ctx.set('location', relyingParty.callbackWith(ownParameters(plain, relyingParty.callback)))
    const answer = answerIn(ctx)
    if (answer === undefined) return
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

/** Where the browser is sent with an answer that nobody has signed, when this response does that. */
export function plainAnswerIn(ctx: KoaContextWithOIDC): URL | undefined {
  const location = ctx.response.get('location')
  const { redirect_uri: callback, response_mode: mode } = ctx.oidc.params ?? {}
  if (typeof callback !== 'string' || String(mode).endsWith('jwt') || !URL.canParse(location))
    return undefined
  const url = new URL(location)
  const { origin, pathname } = new URL(callback)
  if (url.origin !== origin || url.pathname !== pathname) return undefined
  return url.searchParams.has('code') || url.searchParams.has('error') ? url : undefined
}

/** Those of an answer, without those of the callback, which has none of these names. */
function ownParameters({ searchParams }: URL, callback: string): [string, string][] {
  const own = new Set(new URL(callback).searchParams.keys())
  return [...searchParams].filter(([name]) => !own.has(name))
}
