import type { IncomingMessage, ServerResponse } from 'node:http'
import { decodeJwt } from 'jose'
import { ExpiringMap } from '../expiring-map.js'

interface FreshNoncesInput<Instance> {
  /** Which endpoints ask for a nonce. */
  nonceAt: readonly string[]
  /** Seconds for which one is good. */
  nonceSeconds: number
  /** Opens the bank anew, with a secret of its own for nonces. */
  open: () => Instance
}

/**
 * Nonces of which each is for one code or token alone, and for a few seconds: what a proof brings from elsewhere is none.
 *
 * oidc-provider gives the same nonce to everybody for a minute, and takes it for five. So each nonce has an instance of
 * the bank that gave it away and takes no other.
 */
export class FreshNonces<Instance> {
  readonly #input: FreshNoncesInput<Instance>
  readonly #given = new ExpiringMap<Instance>(MAX_GIVEN)

  constructor(input: FreshNoncesInput<Instance>) {
    this.#input = input
  }

  /** Which instance a request is for; nothing where any will do. */
  instanceFor({ url = '', headers }: IncomingMessage, res: ServerResponse): Instance | undefined {
    const { nonceAt, nonceSeconds, open } = this.#input
    const proof = headers['dpop']
    if (!nonceAt.includes(url) || typeof proof !== 'string') return undefined
    const nonce = nonceOf(proof)
    const giver = this.#given.get(nonce)
    this.#given.delete(nonce)
    if (giver) return giver
    const instance = open()
    res.once('finish', () => {
      const given = res.getHeader('dpop-nonce')
      if (typeof given === 'string') this.#given.set(given, instance, nonceSeconds)
    })
    return instance
  }
}

/** Logins that have a nonce and did not use it yet. */
const MAX_GIVEN = 100

function nonceOf(proof: string): string {
  try {
    return String(decodeJwt(proof)['nonce'])
  } catch {
    // oidc-provider says what is wrong with it.
    return ''
  }
}
