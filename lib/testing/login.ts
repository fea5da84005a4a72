import type { CookieJar } from 'tough-cookie'
import { withPeers } from '../sandbox/peers.js'
import { whileServed, type App } from './served.js'
import { findPersona, type Whom } from './whom.js'

/** Options of {@link login}. */
export interface TestLogin extends Whom {
  /** The app's route where a login begins; `/login` by default. */
  path?: string | undefined
}

/** A browser that has been through a login. */
export interface LoggedIn {
  /** Cookies of app and banks, for whatever takes a jar. */
  jar: CookieJar
  /** The header `Cookie` for the app, as for supertest: `.set('Cookie', cookie)`. */
  cookie: string
  /** The page of the app to which the login led, after all redirects. */
  page: { url: string; status: number; headers: Headers; text: string }
  /** `fetch` with these cookies, for an app that listens. A path is one of the app's. */
  fetch: (input: string, init?: RequestInit) => Promise<Response>
}

/** By which an app tells a browser from a script. */
const AS_A_BROWSER = { accept: 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8' }

/** A page of the sandbox may lead to one more; none of them to more than this. */
const MAX_PAGES = 10

/**
 * Logs a person in over HTTP, through the app, the account selector and the bank's own pages, as a browser would.
 *
 * Does not judge how the app answers in the end: `page` is that, also after `sandbox.next({ fault })`. An app that
 * does not listen yet listens at the callback's port for the time of the login.
 *
 * @throws {TypeError} for a bank or a person that the sandbox does not have
 * @throws {Error} where the sandbox cannot go on, with what its page says, and where the app cannot listen
 */
export async function login(app: App, { path = '/login', ...whom }: TestLogin): Promise<LoggedIn> {
  const { sandbox } = whom
  const { bank, persona } = findPersona(whom)
  const { default: fetchCookie } = await withPeers(() => import('fetch-cookie'))
  const jar = new fetchCookie.toughCookie.CookieJar()
  const fetchAll = fetchCookie<string, RequestInit, Response>(fetch, jar)

  return whileServed(app, sandbox.config.callback, async (origin) => {
    const post = (url: string, form: Record<string, string>): Promise<Response> =>
      fetchAll(url, { method: 'POST', body: new URLSearchParams(form), headers: AS_A_BROWSER })
    let response = await fetchAll(new URL(path, origin).href, { headers: AS_A_BROWSER })
    for (let pages = 0; new URL(response.url).origin === sandbox.url; pages++) {
      const { url, status } = response
      const html = await response.text()
      if (status !== 200 || pages >= MAX_PAGES) throw deadEnd(url, html)
      if (html.includes('name="bank"')) response = await post(url, { bank: bank.id })
      else if (html.includes('name="password"'))
        response = await post(url, { login: persona.login, password: persona.password })
      else response = await post(url, {})
    }
    const { url, status, headers } = response
    return {
      jar,
      cookie: await jar.getCookieString(origin),
      page: { url, status, headers, text: await response.text() },
      fetch: (input, init) => fetchAll(new URL(input, origin).href, init),
    }
  })
}

/** A page from which nobody gets on says why. */
function deadEnd(url: string, html: string): Error {
  const text = html
    .replace(/<(head|style)\b.*?<\/\1>/gs, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
  return new Error(`login: the sandbox does not go on at ${new URL(url).pathname}: ${text.trim()}`)
}
