import type { IDPartner, IDPartnerStrategyOptions } from 'passport-idpartner'
import type { Dispatcher } from 'undici'
import type { Admin } from './admin.js'
import type { App } from './app.js'
import type { Authority } from './authority.js'
import { Visitor, type At } from './person.js'
import type { Person } from './realm.js'
import type { SetUp } from './set-ups.js'

/** The bank server, as far as a case reaches behind its counter. */
export interface Bank {
  admin: Admin
  stop(): Promise<void>
  begin(): Promise<void>
}

interface Parties {
  app: App
  authority: Authority
  bank: Bank
  dispatcher: Dispatcher
  person: Person
  setUps: SetUp[]
}

/** Who takes part in a case. */
export class World {
  readonly bank: Bank
  readonly authority: Authority
  readonly dispatcher: Dispatcher
  readonly #parties: Parties

  constructor(parties: Parties) {
    this.bank = parties.bank
    this.authority = parties.authority
    this.dispatcher = parties.dispatcher
    this.#parties = parties
  }

  /** Starts the application with a set-up, or with one that is bent. */
  use(name: string, bent: Partial<IDPartnerStrategyOptions> = {}): InUse {
    const setUp = this.setUp(name)
    const client = this.#parties.app.use(name, { ...setUp.options, ...bent })
    return { name, client, setUp, issuer: this.bank.admin.issuer(setUp.realm) }
  }

  /** Shows the bank the keys of the application as it runs now. */
  publish({ name, client }: InUse): void {
    this.#parties.app.publish(name, client)
  }

  setUp(name: string): SetUp {
    const found = this.#parties.setUps.find((one) => one.name === name)
    if (!found) throw new Error(`no set-up is named ${name}`)
    return found
  }

  /** Somebody who knows the password, at a browser of their own. */
  visitor(): Visitor {
    const { app, person, dispatcher } = this.#parties
    return new Visitor(app, person, dispatcher)
  }
}

/** A set-up that the application was started with. */
export interface InUse extends At {
  client: IDPartner
  setUp: SetUp
}
