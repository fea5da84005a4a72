import { randomUUID } from 'node:crypto'
import { SignJWT, exportJWK } from 'jose'
import * as oidc from 'openid-client'
import type { DpopKey } from '../jwt/dpop-key.js'

/** Seconds that a proof is good for; no network is known that takes more. */
const LIFETIME = 120

/** Far more servers than one application meets. */
const MAX_ORIGINS = 1000

/** RFC 9449, section 8.1; what is longer is no nonce. */
const NONCE = /^[\x21\x23-\x5b\x5d-\x7e]{1,1024}$/

/** The nonces that servers want to see in proofs, the newest of each: shared by all logins, so that most need no second try. */
export class DpopNonces {
  readonly #newest = new Map<string, string>()

  of(url: string): string | undefined {
    return this.#newest.get(new URL(url).origin)
  }

  /** Remembers what an answer brought, whatever its status (RFC 9449, section 8.2), and gives it. */
  note(url: string, { headers }: Response): string | undefined {
    const nonce = headers.get('dpop-nonce')
    if (nonce === null || !NONCE.test(nonce)) return undefined
    const { origin } = new URL(url)
    this.#newest.delete(origin)
    const [oldest] = this.#newest.keys()
    if (oldest !== undefined && this.#newest.size >= MAX_ORIGINS) this.#newest.delete(oldest)
    this.#newest.set(origin, nonce)
    return nonce
  }
}

/**
 * The nonces of one request.
 *
 * What its own refusal asked for is shown at the next try, whatever others were told meanwhile: some servers have nonces of
 * one code or one token alone.
 */
export class RequestNonces implements Pick<DpopNonces, 'of'> {
  readonly #shared: DpopNonces
  #shown: string | undefined
  #asked: string | undefined

  constructor(shared: DpopNonces) {
    this.#shared = shared
  }

  /** For the proof that is made now. */
  of(url: string): string | undefined {
    this.#shown = this.#asked ?? this.#shared.of(url)
    return this.#shown
  }

  /** Remembers what an answer brought. */
  note(url: string, response: Response): { nonce: string | undefined; isNew: boolean } {
    const nonce = this.#shared.note(url, response)
    this.#asked = nonce
    // By the proof itself: what is shared may have changed since it was made.
    return { nonce, isNew: nonce !== undefined && nonce !== this.#shown }
  }
}

/** Makes the proofs of one request, each try with one of its own (RFC 9449, section 4.2). */
export function dpopHandle(
  client: oidc.Configuration,
  key: DpopKey,
  nonces: Pick<DpopNonces, 'of'>,
): oidc.DPoPHandle {
  return oidc.getDPoPHandle(client, key, {
    [oidc.modifyAssertion]: (header, claims) => {
      // openid-client has another name for EdDSA, which banks do not know yet (RFC 9864).
      header['alg'] = key.alg
      const { iat, htu } = claims as { iat: number; htu: string }
      Object.assign(claims, { exp: iat + LIFETIME, nonce: nonces.of(htu) })
    },
  })
}

/** The proof of a request for which openid-client makes none, such as a revocation; a new one at each call. */
export async function dpopProof(
  { alg, privateKey, publicKey }: DpopKey,
  method: string,
  url: string,
  nonces: Pick<DpopNonces, 'of'>,
): Promise<string> {
  const { origin, pathname } = new URL(url)
  const iat = Math.floor(Date.now() / 1000)
  return new SignJWT({
    jti: randomUUID(),
    htm: method,
    htu: `${origin}${pathname}`,
    iat,
    exp: iat + LIFETIME,
    nonce: nonces.of(url),
  })
    .setProtectedHeader({ alg, typ: 'dpop+jwt', jwk: await exportJWK(publicKey) })
    .sign(privateKey)
}
