import type { RequestHandler } from 'express'

const HEADERS = {
  // form-action stays on this site: logging in is a link, since Chromium applies form-action to redirects too.
  'Content-Security-Policy':
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  // The callback's address holds the bank's answer, which is nobody else's business.
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}

export const securityHeaders: RequestHandler = (_req, res, next) => {
  res.set(HEADERS)
  next()
}
