import type { JWK } from 'jose'
import { mint, set, type JwtBend } from './bends.js'
import { json } from './faults.js'
import { ecKey, extraKey, publicJwk, rsaKey } from './key-pairs.js'
import { startServer, type Running, type ServerPlace, type Wire } from './loopback-server.js'

export const DIRECTORY_ISSUER = 'https://idpartner.com'

/** What a document says of the login it belongs to. */
export interface DocumentContent {
  audience: string
  interactionId: string
  bank: { name: string; issuer_url: string }
  answer: string
}

/** The trust directory: publishes the keys with which IDPartner signs its documents. */
export class TrustDirectory {
  /** The name of the key it signs with; another name is a rotation. */
  signer = 'directory'
  /** Bends what it publishes. */
  jwks: (keys: JWK[]) => JWK[] = (keys) => keys
  readonly #server: Running

  private constructor(server: Running) {
    this.#server = server
  }

  static async start(wire: Wire, place: ServerPlace = {}): Promise<TrustDirectory> {
    const server = await startServer(
      'directory',
      { 'jwks /trust-directory/jwks': async () => json({ keys: await directory.keys() }) },
      wire,
      place,
    )
    const directory = new TrustDirectory(server)
    return directory
  }

  get url(): string {
    return `${this.#server.origin}/trust-directory`
  }

  async keys(): Promise<JWK[]> {
    return this.jwks([
      publicJwk(await rsaKey(this.signer), { use: 'sig', alg: 'PS256' }),
      publicJwk(await extraKey('directory'), { use: 'sig' }),
      publicJwk(await ecKey('directory'), { use: 'sig' }),
    ])
  }

  async document(
    { audience, interactionId, bank, answer }: DocumentContent,
    now: number,
    bend?: JwtBend,
  ): Promise<string> {
    const claims = set({ 'x-fapi-interaction-id': interactionId, identity_provider: bank, sub: answer })({
      iss: DIRECTORY_ISSUER,
      aud: audience,
      iat: now,
      exp: now + 60,
    })
    return mint({ claims, key: await rsaKey(this.signer) }, bend)
  }

  close(): Promise<void> {
    return this.#server.close()
  }
}
