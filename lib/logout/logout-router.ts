import type { IncomingMessage, ServerResponse } from 'node:http'
import * as v from 'valibot'
import { parseOptions } from '../client/parse-options.js'
import { asClientOf, type ClientOf } from '../client/client-of.js'
import type { IDPartner } from '../client/idpartner.js'
import { IDPartnerError } from '../errors.js'
import { MAX_AGE_SECONDS, verifyLogoutToken, type BankLogout } from '../jwt/logout-token.js'
import { within } from '../net/deadline.js'
import { formBody, invalid } from './form-body.js'
import { UsedTokens } from './used-tokens.js'

/** Options of {@link logoutRouter}. */
export interface LogoutRouterOptions {
  /**
   * Ends the sessions that are meant: see {@link concerns}. The bank hears that it worked when the promise is kept. The
   * request says of which tenant they are.
   */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the request as the host has it
  onLogout: (logout: BankLogout, req: any) => unknown
  /** Hears of everything that was refused, for the log; the bank is told nothing of it. */
  onError?: ((err: unknown) => unknown) | undefined
  /** Below where the router is mounted; `'/backchannel-logout'` by default. */
  path?: string | undefined
}

/** A middleware as Connect and Express call it. */
export type LogoutRouter = (req: IncomingMessage, res: ServerResponse, next: (err?: unknown) => void) => void

/** Milliseconds that the application has to end sessions. */
const MAX_WAIT = 15_000

const aFunction = v.custom<(value: never) => unknown>(
  (value) => typeof value === 'function',
  'must be a function',
)
const shape = v.strictObject({
  onLogout: aFunction,
  onError: v.optional(aFunction),
  path: v.optional(
    v.pipe(v.string('must be a path'), v.regex(/^\/[\w./-]*$/, 'must be a path of letters and digits')),
    '/backchannel-logout',
  ),
})

/**
 * A Connect or Express middleware that takes a bank's word for it that somebody logged out there: back-channel logout.
 *
 * Checks the logout token, and uses each once in this process. Knows no sessions: `onLogout` ends them. Answers 200, or
 * 400 without a reason, and leaves every other path and method to the application.
 *
 * @param client or a function that finds the client of the tenant that a request is for
 * @throws {IDPartnerError} `config_invalid`, with a message that names the option
 * @see https://openid.net/specs/openid-connect-backchannel-1_0.html#BCRequest
 */
export function logoutRouter(client: IDPartner | ClientOf, options: LogoutRouterOptions): LogoutRouter {
  const clientOf = asClientOf(client, 'logoutRouter', 'logoutRouter(strategy.client, …)')
  const { path } = parseOptions(
    shape,
    options,
    'logoutRouter() needs the option "onLogout": { onLogout: (logout) => … }',
  )
  const { onLogout, onError } = options
  const used = new UsedTokens()
  return (req, res, next) => {
    // Frameworks cut the prefix under which a middleware is mounted off `url`.
    const [asked = ''] = (req.url ?? '').split('?')
    if (req.method !== 'POST' || asked.replace(/\/$/, '') !== path.replace(/\/$/, '')) {
      next()
      return
    }
    logOut(clientOf, req, { used, onLogout })
      .then(
        () => {
          answer(res, 200)
        },
        (err: unknown) => {
          answer(res, 400, JSON.stringify({ error: 'invalid_request' }))
          return onError?.(err)
        },
      )
      .catch(() => undefined) // The bank has its answer, and a log that fails shall not end the process.
  }
}

async function logOut(
  clientOf: (req: object) => Promise<IDPartner>,
  req: IncomingMessage,
  { used, onLogout }: { used: UsedTokens; onLogout: LogoutRouterOptions['onLogout'] },
): Promise<void> {
  const client = await within(MAX_WAIT, () => clientOf(req))
  const budget = 2 * client.timeout
  const { clientId, logout } = await within(budget, async (deadline) => {
    const tokens = (await formBody(req)).getAll('logout_token')
    const [token] = tokens
    if (token === undefined || tokens.length > 1) throw invalid('has no single "logout_token"')
    const expected = await client.logoutTokenExpected(deadline.signal)
    return { clientId: expected.clientId, logout: await verifyLogoutToken(token, expected) }
  })
  const name = JSON.stringify([clientId, logout.issuer, logout.jti])
  if (!used.use(name, 2 * MAX_AGE_SECONDS)) {
    throw new IDPartnerError('token_invalid', "the bank's logout token was used before")
  }
  try {
    await within(MAX_WAIT, () => Promise.resolve().then(() => onLogout(logout, req)))
  } catch (err) {
    used.forget(name)
    throw err
  }
}

function answer(res: ServerResponse, status: number, body?: string): void {
  if (res.headersSent) return
  res.statusCode = status
  res.setHeader('Cache-Control', 'no-store')
  if (body !== undefined) {
    res.setHeader('Content-Type', 'application/json')
    // What was not read to its end is in the way of a next request.
    res.setHeader('Connection', 'close')
  }
  res.end(body)
}
