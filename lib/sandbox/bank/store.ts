import type { Adapter, AdapterPayload } from 'oidc-provider'
import { ExpiringMap } from '../expiring-map.js'

/** What a bank remembers of one kind (sessions, codes, tokens, …): in memory, and gone with the sandbox. */
export class BankStore implements Adapter {
  readonly #entries = new ExpiringMap<AdapterPayload>()

  upsert(id: string, payload: AdapterPayload, expiresIn?: number): Promise<void> {
    this.#entries.set(id, payload, expiresIn)
    return Promise.resolve()
  }

  find(id: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#entries.get(id))
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#entries.find((payload) => payload.uid === uid))
  }

  findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#entries.find((payload) => payload.userCode === userCode))
  }

  consume(id: string): Promise<void> {
    const payload = this.#entries.get(id)
    if (payload) payload.consumed = Math.floor(Date.now() / 1000)
    return Promise.resolve()
  }

  destroy(id: string): Promise<void> {
    this.#entries.delete(id)
    return Promise.resolve()
  }

  revokeByGrantId(grantId: string): Promise<void> {
    this.#entries.deleteWhere((payload) => payload.grantId === grantId)
    return Promise.resolve()
  }
}
