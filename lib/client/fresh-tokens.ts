import { createHash } from 'node:crypto'
import { IDPartnerError } from '../errors.js'
import { inTime, isTimeout, within } from '../net/deadline.js'
import type { TokenSet } from './tokens.js'

/** Options of {@link IDPartner.freshTokens}. */
export interface FreshTokensOptions {
  /**
   * Writes a renewed set over the one before, in the application's store. Nobody gets it before the promise is kept: the
   * refresh token before it may be good for nothing any more.
   */
  save: (tokens: TokenSet) => unknown
  /** The bank, for a set without claims. */
  issuer?: string | undefined
  signal?: AbortSignal | undefined
}

/** Seconds before its end in which an access token is not used any more, since a call takes its time. */
const MARGIN = 30

/** Seconds for which a renewed set is remembered once it is saved: others may have read the one before it a moment ago. */
const MEMORY = 60

/** Milliseconds that the application has to save a set. */
const MAX_SAVE = 15_000

/** From the set that somebody read a while ago to the latest; there are no more within that time. */
const MAX_STEPS = 20

/** Renewed sets that are remembered, of all people together. */
const MAX_REMEMBERED = 1000

interface Refresh {
  renewed: Promise<TokenSet>
  saved?: Promise<unknown> | undefined
  /** Nothing else has what was not saved, so it has no end. */
  until: number
}

/** Whether an access token can still be used; one of which nobody knows can. */
export function isFresh({ expires_at, expires_in = Infinity }: TokenSet): boolean {
  // Of a token that lives a few seconds, half.
  const margin = Math.min(MARGIN, expires_in / 2)
  return expires_at === undefined || expires_at - margin > Date.now() / 1000
}

/**
 * Refreshes each token set once in this process, whoever asks: a bank that sees a refresh token twice takes it for stolen,
 * and revokes all that came of it.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2
 */
export class Refreshes {
  readonly #known = new Map<string, Refresh>()

  /** @throws what `refresh` and `save` throw; `access_denied` and `provider_error` 401 where the person has to log in again */
  async fresh(
    issuer: string,
    tokens: TokenSet,
    refresh: (tokens: TokenSet) => Promise<TokenSet>,
    { save, signal }: Pick<FreshTokensOptions, 'save' | 'signal'>,
  ): Promise<TokenSet> {
    let current = tokens
    for (let steps = 0; steps < MAX_STEPS && !isFresh(current); steps++) {
      const { refresh_token, access_token } = current
      if (refresh_token === undefined) {
        throw new IDPartnerError(
          'access_denied',
          'the access token has run out, and the bank gave no refresh token: the person has to log in again',
        )
      }
      // With the access token, since a bank may leave the refresh token as it is.
      const name = createHash('sha256')
        .update(JSON.stringify([issuer, refresh_token, access_token]))
        .digest('base64')
      const known = this.#recent(name)
      const one = known ?? this.#remember(name, refresh(current))
      current = await inTime(signal, renewedAndSaved(one, save))
      // What was issued a moment ago is used, however short it lives.
      if (!known) break
    }
    return current === tokens ? tokens : { ...current }
  }

  #recent(name: string): Refresh | undefined {
    const known = this.#known.get(name)
    return known && known.until > Date.now() ? known : undefined
  }

  #remember(name: string, renewed: Promise<TokenSet>): Refresh {
    for (const [other, { until }] of this.#known) if (until <= Date.now()) this.#known.delete(other)
    // The oldest stand first.
    const [oldest] = this.#known.keys()
    if (oldest !== undefined && this.#known.size >= MAX_REMEMBERED) this.#known.delete(oldest)
    const one: Refresh = {
      until: Infinity,
      renewed: renewed.catch((err: unknown) => {
        this.#known.delete(name)
        throw refused(err)
      }),
    }
    this.#known.set(name, one)
    return one
  }
}

/** Waits until the set is renewed and saved; what could not be saved is saved by whoever asks next. */
async function renewedAndSaved(one: Refresh, save: FreshTokensOptions['save']): Promise<TokenSet> {
  const renewed = await one.renewed
  one.saved ??= within(MAX_SAVE, () => Promise.resolve().then(() => save({ ...renewed }))).then(
    () => {
      one.until = Date.now() + MEMORY * 1000
    },
    (err: unknown) => {
      one.saved = undefined
      if (!isTimeout(err)) throw err
      throw new IDPartnerError(
        'config_invalid',
        'the function "save" of fresh tokens did not end within 15 s',
      )
    },
  )
  await one.saved
  return renewed
}

/** A refresh token that is refused is the end of a login, and nothing that is broken. */
function refused(err: unknown): unknown {
  if (!(err instanceof IDPartnerError) || err.providerError !== 'invalid_grant') return err
  return new IDPartnerError(
    'provider_error',
    'the bank does not take this refresh token any more: the person has to log in again',
    { status: 401, providerError: err.providerError, cause: err, interactionId: err.interactionId },
  )
}
