import { createHash, randomUUID } from 'node:crypto'
import { EmbeddedJWK, calculateJwkThumbprint, decodeProtectedHeader, jwtVerify, type JWK } from 'jose'
import type { Reply } from './faults.js'
import { json } from './faults.js'
import type { SeenRequest } from './loopback-server.js'

/** Where a bank takes proofs. */
export type Proven = 'par' | 'token' | 'userinfo' | 'resource'

/** A proof that is good, by its key; none where tokens are not bound. */
export interface Proof {
  jkt: string | undefined
}

/** What a bank checks of DPoP (RFC 9449), and how it asks for nonces. */
export class DpopChecks {
  /** Where a nonce is asked for. */
  readonly asks = new Set<Proven>()
  /** What the token endpoint calls its tokens. */
  type: string
  /** The nonce that proofs must hold now; each answer brings a new one. */
  nonce = randomUUID()
  /** Gives each key a nonce of its own at its first request here, and takes no other. */
  ofEachKey = false
  /** Asks for a nonce without sending one. */
  silent = false
  /** Takes no nonce for the right one. */
  insatiable = false
  /** The keys of all proofs that came, oldest first. */
  readonly keys: string[] = []
  readonly #complaints: string[]
  readonly #on: boolean
  readonly #seen = new Set<string>()
  readonly #bound = new Map<string, string>()
  readonly #ofKeys = new Map<string, string>()

  constructor(complaints: string[], on: boolean) {
    this.#complaints = complaints
    this.#on = on
    this.type = on ? 'DPoP' : 'Bearer'
  }

  /** Checks the proof of a request; a bank that asks for a nonce refuses one that has another. */
  async proof(
    at: Proven,
    { headers, method, url }: SeenRequest,
    token?: string,
  ): Promise<Proof | { refusal: Reply }> {
    const jwt = headers['dpop']
    if (!this.#on) {
      this.#assert(jwt === undefined, 'a proof came that nobody asked for')
      return { jkt: undefined }
    }
    if (typeof jwt !== 'string') {
      this.#complaints.push(`no proof at ${at}`)
      return { jkt: undefined }
    }
    const { payload } = await jwtVerify(jwt, EmbeddedJWK, { typ: 'dpop+jwt' })
    const { jwk, alg } = decodeProtectedHeader(jwt)
    const now = Date.now() / 1000
    this.#assert(!('d' in (jwk as object)), 'the proof holds its private key')
    this.#assert(alg !== 'Ed25519', 'the proof has the new name of EdDSA')
    this.#assert(!this.#seen.has(String(payload.jti)), 'a proof came twice')
    this.#seen.add(String(payload.jti))
    this.#assert(payload['htm'] === method, 'the proof is of another method')
    const htu = new URL(String(payload['htu']))
    this.#assert(htu.pathname === url.split('?')[0] && htu.search === '', `the proof is for ${htu.href}`)
    const ath = token === undefined ? undefined : createHash('sha256').update(token).digest('base64url')
    this.#assert(payload['ath'] === ath, 'the proof is of another token')
    this.#assert(Math.abs(Number(payload.iat) - now) < 10, 'the proof is of another time')
    this.#assert(Number(payload.exp) - Number(payload.iat) <= 120, 'the proof lives too long')
    const jkt = await calculateJwkThumbprint(jwk as JWK)
    this.keys.push(jkt)
    const right = this.ofEachKey ? (this.#ofKeys.get(jkt) ?? 'none yet') : this.nonce
    if (!this.asks.has(at) || (payload['nonce'] === right && !this.insatiable)) return { jkt }
    if (this.ofEachKey) this.#ofKeys.set(jkt, (this.nonce = randomUUID()))
    if (this.insatiable) this.nonce = randomUUID()
    const error = 'use_dpop_nonce'
    const isResource = at === 'userinfo' || at === 'resource'
    const reply = isResource ? json({}, 401) : json({ error, error_description: 'a nonce is needed' }, 400)
    const challenge = { ...reply.headers, 'www-authenticate': `DPoP error="${error}"` }
    const refusal = isResource ? { ...reply, headers: challenge, body: '' } : reply
    return { refusal: this.silent ? refusal : this.#with(refusal) }
  }

  /** The same where a token came along, which has to be used as the kind it is. */
  async resourceProof(at: Proven, seen: SeenRequest): Promise<Proof | { refusal: Reply }> {
    const [scheme, token = ''] = (seen.headers.authorization ?? '').split(' ')
    this.#assert(
      scheme?.toLowerCase() === (this.#on ? 'dpop' : 'bearer'),
      `the token came as ${String(scheme)}`,
    )
    const proof = await this.proof(at, seen, token)
    if ('jkt' in proof && this.#on)
      this.#assert(this.#bound.get(token) === proof.jkt, 'the token is of another key')
    return proof
  }

  /** A login and its tokens stay with one key. */
  bind(name: string, { jkt }: Proof): void {
    if (jkt === undefined) return
    this.#assert((this.#bound.get(name) ?? jkt) === jkt, 'the key has changed within a login')
    this.#bound.set(name, jkt)
  }

  /** An answer with the next nonce, where one is asked for. */
  withNonce(at: Proven, reply: Reply): Reply {
    if (!this.#on || !this.asks.has(at)) return reply
    this.nonce = randomUUID()
    return this.#with(reply)
  }

  #with(reply: Reply): Reply {
    return { ...reply, headers: { ...reply.headers, 'dpop-nonce': this.nonce } }
  }

  #assert(condition: boolean, complaint: string): void {
    if (!condition) this.#complaints.push(complaint)
  }
}
