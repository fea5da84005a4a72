import { text } from 'node:stream/consumers'
import { IDPartner, type IDPartnerConfig, type TokenSet } from 'passport-idpartner'

/** What an application stored, in a process that knows nothing else of the login. */
interface Stored {
  config: IDPartnerConfig
  issuer: string
  tokens: TokenSet
  /** An API of the bank. */
  api: string
}

const { config, issuer, tokens, api } = JSON.parse(await text(process.stdin)) as Stored
const client = new IDPartner(config)
const userInfo = await client.userInfo(issuer, tokens)
const response = await client.request(issuer, tokens, api)
const renewed = await client.refreshToken(issuer, tokens)
const again = await client.request(issuer, renewed, api)
process.stdout.write(
  JSON.stringify({ userInfo, statuses: [response.status, again.status], type: renewed.token_type }),
)
