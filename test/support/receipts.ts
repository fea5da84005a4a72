import type { JSONWebKeySet, JWK } from 'jose'
import type { IDPartnerLogin } from 'passport-idpartner'
import type { AnswerBends } from './platform.js'
import { startScene, type Scene, type SceneOptions } from './scene.js'

export interface Received {
  scene: Scene
  login: IDPartnerLogin
  receipt: string
  /** The application's public keys. */
  application: JSONWebKeySet
}

/** A whole login at an application that makes receipts. */
export async function loginWithReceipt(
  { strategy, ...options }: SceneOptions = {},
  bends: AnswerBends = {},
): Promise<Received> {
  const scene = await startScene({ ...options, strategy: { receipt: true, ...strategy } })
  const ended = await scene.visitor.finish(await scene.visitor.begin(), bends)
  const [login] = scene.logins
  if (login?.receipt === undefined) throw new Error('there is no receipt', { cause: ended.value })
  const application = await scene.strategy.client.getPublicJWKs()
  return { scene, login, receipt: login.receipt, application }
}

/** What a receipt looks like, for tests that change it. */
export interface Parsed {
  statement: {
    version: number
    client_id: string
    begun: number
    ended: number
    checks: Record<string, { at: number; made: string[] }>
    hashes: Record<string, string>
  }
  seal: string
  salt: string
  parts: {
    login: Record<string, unknown> & { issuer: string; state: string }
    keys: { url: string; fetched: number; jwk: JWK }[]
    document?: { jws: string; key: number }
    answer: { jws: string; key: number } | { state: string; iss?: string }
    id_token: { jws: string; key: number }
    userinfo?: { jws: string; key: number }
  }
}

export function parsedReceipt(receipt: string): Parsed {
  return JSON.parse(receipt) as Parsed
}
