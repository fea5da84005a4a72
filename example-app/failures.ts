import { STATUS_CODES } from 'node:http'
import type { ErrorRequestHandler, RequestHandler, Response } from 'express'
import { IDPartnerError } from 'passport-idpartner'

/** What the failure page is told; IDPartner failures come with all of it, others with code and message. */
export interface Failure {
  code: string
  message: string
  reason?: string
  providerError?: string
  interactionId?: string
}

/** What the failure page says to the person, who has never heard of our codes. */
interface Explanation {
  title: string
  advice: string
}

const LOGIN_MISSING: Record<string, Explanation> = {
  no_session: {
    title: 'Your browser did not remember us',
    advice: 'We could not find the login you began. Please allow cookies for this site and log in again.',
  },
  no_login: {
    title: 'We lost track of your login',
    advice:
      'It may have begun in another browser, or in a tab from before you logged in or out. Please start again here.',
  },
  expired: {
    title: 'Your login took too long',
    advice: 'For your safety a login has to be finished within a few minutes. Please start again.',
  },
  already_used: {
    title: 'This login is over',
    advice: 'Each answer from a bank works once. Going back or reloading the page brings it a second time.',
  },
}

const EXPLANATIONS: Record<string, Explanation> = {
  access_denied: {
    title: 'Login cancelled',
    advice: 'You or your bank said no. Nothing about you was shared with us.',
  },
  response_invalid: {
    title: 'No answer that we can trust',
    advice: 'Nothing came back from the bank, or it did not pass our checks. Please try again.',
  },
  provider_refused: {
    title: 'We do not work with this bank',
    advice: 'Please log in again with another bank.',
  },
  provider_error: {
    title: 'Your bank could not log you in',
    advice: 'It answered with an error instead. Trying again, or another bank, may help.',
  },
  provider_unavailable: {
    title: 'Your bank is not answering',
    advice: 'That is usually over soon. Please try again in a few minutes.',
  },
  token_invalid: {
    title: 'Your bank’s answer does not add up',
    advice: 'It failed a check of ours. We have made a note of it.',
  },
  config_invalid: {
    title: 'This site is not set up right',
    advice: 'That is ours to repair; trying again will not help just now.',
  },
  too_young: {
    title: 'Boats are for people of 21 and older',
    advice:
      'That is what our insurance says, and your bank says that you are younger. The ice cream is round the corner.',
  },
  not_found: {
    title: 'There is nothing here',
    advice: 'The page may have moved, or the address has a slip in it.',
  },
}

const OTHERWISE: Explanation = {
  title: 'Something went wrong',
  advice: 'That is our fault and not yours. Please try again in a moment.',
}

const NOT_ALLOWED: Explanation = {
  title: 'Not with this login',
  advice: 'What your bank told us is not enough for this page, or somebody else logged in than before.',
}

function explain({ code, reason }: Failure, status: number): Explanation {
  if (code === 'login_missing') return LOGIN_MISSING[reason ?? 'no_login'] ?? OTHERWISE
  if (code === 'access_denied' && status === 403) return NOT_ALLOWED
  return EXPLANATIONS[code] ?? OTHERWISE
}

function showFailure(res: Response, status: number, failure: Failure): void {
  res.status(status).render('failure', { ...explain(failure, status), failure })
}

export const notFound: RequestHandler = (_req, res) => {
  showFailure(res, 404, { code: 'not_found', message: 'No page at this address' })
}

export const tooYoung: RequestHandler = (_req, res) => {
  showFailure(res, 403, { code: 'too_young', message: 'This page needs "age_over_21"' })
}

/** Express knows an error handler by its four parameters. */
export const onError: ErrorRequestHandler = (err: Error & { status?: number }, _req, res, next) => {
  const status = err.status ?? 500
  // The strategy's log has had a line of its own.
  if (status >= 500 && !(err instanceof IDPartnerError)) console.error(err)
  if (res.headersSent) next(err)
  // Only an IDPartnerError's message is written to be shown.
  else if (err instanceof IDPartnerError) showFailure(res, status, err)
  else showFailure(res, status, { code: 'unexpected', message: STATUS_CODES[status] ?? 'Error' })
}
