import type { RequestHandler } from 'express'
import type { IDPartner, IDPartnerConfig } from 'passport-idpartner'
import { bankPicker } from 'passport-idpartner/picker'

/**
 * Lets a person choose their bank on a page of ours, where the app knows which banks there are: in the direct flow. IDPartner
 * shows them otherwise.
 */
export function pickBank(client: IDPartner, { flow, trusted_issuers }: IDPartnerConfig): RequestHandler {
  return async ({ query }, res, next) => {
    if (flow !== 'direct' || !Array.isArray(trusted_issuers) || 'iss' in query) {
      next()
      return
    }
    // Logos are left out: a browser that fetches one tells that bank who visits us.
    const banks = (await client.banks()).map(({ issuer, name }) => ({ issuer, name }))
    // What a guard put into the address goes along to the login.
    const { q: search, ...others } = query
    const params = Object.fromEntries(
      Object.entries(others).filter((one): one is [string, string] => typeof one[1] === 'string'),
    )
    res.render('banks', { picker: bankPicker(banks, { search, params }) })
  }
}
