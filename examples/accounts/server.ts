import { IDPartner, generateJwks } from 'passport-idpartner'
import { startSandbox } from 'passport-idpartner/sandbox'
import { createApp } from './app.js'
import { Archive } from './archive.js'

const url = 'http://localhost:3000'
const sandbox = await startSandbox({
  client_id: 'bookkeeper',
  callback: `${url}/login/callback`,
  jwks_uri: `${url}/jwks`,
})
const config = { ...sandbox.config, jwks: await generateJwks() }
const archive = new Archive('archive')
await archive.keepKeys(await new IDPartner(config).getPublicJWKs())
createApp(config, { archive, accounts: new Map() }).listen(3000, 'localhost', (err) => {
  if (err) throw err // such as a port that is taken
  console.log(`Log in at ${url}/account as mikomo_10, and then:`)
  console.log('npx passport-idpartner receipt verify archive/receipts/FILE --jwks archive/keys.json')
  console.log('npx passport-idpartner receipt verify archive/audit/FILE --jwks archive/keys.json --redacted')
})
