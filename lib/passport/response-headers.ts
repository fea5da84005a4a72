interface Response {
  setHeader?: (name: string, value: string) => unknown
  headersSent?: boolean
}

/**
 * No answer of a login may be kept, by a browser or on the way: each is made for one moment of one login.
 *
 * Express and Koa have the response on the request; on other hosts there is none to be had, and nothing happens.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-5.1
 */
export function forbidCaching(req: object): void {
  const { res } = req as { res?: Response | null }
  if (typeof res?.setHeader !== 'function' || res.headersSent === true) return
  res.setHeader('Cache-Control', 'no-store')
}
