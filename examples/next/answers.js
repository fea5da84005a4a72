import { IDPartnerError } from 'passport-idpartner'
import { brokenPage, failedPage } from './pages.js'

export const page = (html, status = 200) =>
  new Response(html, {
    status,
    headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' },
  })

export const redirect = (location) =>
  new Response(null, { status: 302, headers: { location, 'cache-control': 'no-store' } })

/** A prefetch, a preview or a HEAD may be of any link: nobody has asked for a login. */
const isSpeculative = ({ method, headers }) =>
  method !== 'GET' ||
  /prefetch|prerender|preview/i.test(headers.get('sec-purpose') ?? headers.get('purpose') ?? '')

/** A route of logins, which answers with a page whatever goes wrong. */
export const answering = (route) => async (request) => {
  if (isSpeculative(request))
    return new Response(null, { status: 503, headers: { 'cache-control': 'no-store' } })
  try {
    return await route(request)
  } catch (err) {
    const status = err instanceof IDPartnerError ? err.status : 500
    if (status < 500) return page(failedPage(err.message), status)
    console.error(err) // IDPartner or the bank is broken, or an option is wrong
    return page(brokenPage(), status)
  }
}
