import type { ServerResponse } from 'node:http'
import type { KoaContextWithOIDC, Provider } from 'oidc-provider'
import type { EndedSteps, StepResponse } from './ended-steps.js'
import { browserOf } from '../http/browser-id.js'

/** Where oidc-provider goes on once a step has its result; it does so once, and calls the login over afterwards. */
const RESUME = /^\/auth\/([\w-]+)$/

/** Lets the end of each step be had a second time. */
export function repeatSteps(provider: Provider, steps: EndedSteps): void {
  provider.use(async (context, next) => {
    const ctx = context as KoaContextWithOIDC
    const uid = RESUME.exec(ctx.path)?.[1]
    if (uid === undefined) {
      await next()
      return
    }
    const browser = browserOf(ctx.req)
    const again = await steps.responseAgain(uid, browser)
    if (again) {
      ctx.respond = false
      await sendStepAgain(provider, ctx, again)
      return
    }
    const passed = next()
    steps.end(
      uid,
      browser,
      passed.then(() => responseOf(provider, ctx)),
    )
    await passed
  })
}

/** Sends a step's response once more, with the cookies it had: those of the first may never have arrived. */
export async function sendStepAgain(
  provider: Provider,
  { req, res }: { req: KoaContextWithOIDC['req']; res: ServerResponse },
  { status, headers, body }: StepResponse,
): Promise<void> {
  const { 'set-cookie': cookies = [], ...others } = headers
  const session = await provider.Session.get(provider.createContext(req, res))
  // Of the session's cookie an older one would take the place of the one that is good now.
  const isStale = (cookie: string) =>
    typeof session.exp === 'number' && cookie.startsWith(provider.cookieName('session'))
  res.writeHead(status, { ...others, 'set-cookie': [cookies].flat().filter((one) => !isStale(one)) })
  res.end(body)
}

function responseOf(
  provider: Provider,
  { status, response, body }: KoaContextWithOIDC,
): StepResponse | undefined {
  if (status >= 400) return undefined
  const location = response.get('location')
  const nextStep = `${new URL(provider.issuer).pathname}/interaction/`
  return {
    status,
    headers: { ...(response.headers as Record<string, string | string[]>) },
    body: typeof body === 'string' ? body : '',
    isAnswer: !location.startsWith(nextStep) && !location.startsWith(new URL(nextStep, provider.issuer).href),
  }
}
