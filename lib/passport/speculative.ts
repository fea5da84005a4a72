import type { IncomingHttpHeaders } from 'node:http'

/** Who asks in which words: the Fetch standard, older Chrome, Safari and Facebook, older Firefox. */
const PURPOSES = ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'] as const

/**
 * Whether nobody has asked for this: a prefetch, a prerender, a preview, or any method but GET and POST.
 *
 * Such a request may be made of any link, and its answer may be thrown away.
 *
 * @see https://fetch.spec.whatwg.org/#sec-purpose-header
 */
export function isSpeculative(req: object): boolean {
  const { method = 'GET', headers = {} } = req as { method?: string; headers?: IncomingHttpHeaders }
  if (method !== 'GET' && method !== 'POST') return true
  return PURPOSES.some((name) => /\b(prefetch|prerender|preview)\b/i.test(String(headers[name] ?? '')))
}
