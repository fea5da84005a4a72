import { authorizationError } from '../client/authorization-error.js'
import { printable } from '../errors.js'
import { shown, type Known, type Layer } from './layer.js'

/** The parameters of a callback; others may be anything. */
const PARAMETERS = new Set(['response', 'error', 'error_description', 'error_uri', 'code', 'state', 'iss'])

/** What the browser was sent to. */
export function queryLayer(text: string, { options }: Known): { layer: Layer; response: string | undefined } {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const params = url ? url.searchParams : new URLSearchParams(text.replace(/^[^?]*\?/, ''))
  const layer: Layer = { name: url ? 'callback URL' : 'query of a callback', facts: {}, problems: [] }
  const { facts, problems } = layer
  if (url) facts['address'] = `${url.origin}${url.pathname}`
  const names = [...params.keys()]
  const known = names.filter((name) => PARAMETERS.has(name))
  facts['parameters'] =
    `${known.join(', ') || 'none that is known'}, and ${String(names.length - known.length)} others`
  if (url && options.callback !== undefined && URL.canParse(options.callback)) {
    const wanted = new URL(options.callback)
    if (url.origin + url.pathname !== wanted.origin + wanted.pathname) {
      problems.push(`it is not the option "callback", ${wanted.origin}${wanted.pathname}`)
    }
  }
  for (const name of ['response', 'error', 'code', 'state', 'iss']) {
    if (params.getAll(name).length > 1) problems.push(`"${name}" is there more than once`)
  }
  if (names.some((name) => name.startsWith('amp;'))) {
    problems.push('it was copied from HTML: each &amp; has to be a plain &')
  }
  const response = params.get('response') ?? undefined
  const error = params.get('error')
  if (error !== null) {
    facts['error'] = authorizationError(printable(error)).message
    problems.push('nobody signed this error: it ends no login, and may be from anybody')
  }
  if (params.has('code')) {
    facts['plain answer'] = `from ${shown(params.get('iss') ?? 'nobody who says so')}`
    const plain = options.response_mode === 'query' || options.profile === 'fapi2-security'
    if (!plain) problems.push('a bare code is never used: the answer has to be signed (JARM)')
    else if (!params.has('iss')) problems.push('"iss" is missing, with which the bank has to name itself')
    if (!params.has('state')) problems.push('"state" is missing, so that it belongs to no login')
  }
  if (response === undefined && error === null && !params.has('code')) {
    problems.push('there is no answer in it: no "response", "error" or "code"')
  }
  if (response === '') problems.push('"response" is empty')
  return { layer, response: response || undefined }
}
