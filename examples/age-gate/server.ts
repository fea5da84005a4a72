import { generateJwks } from 'passport-idpartner'
import { startSandbox } from 'passport-idpartner/sandbox'
import { createApp } from './app.js'

const url = 'http://localhost:3000'
const sandbox = await startSandbox({
  client_id: 'wine-shop',
  callback: `${url}/login/callback`,
  jwks_uri: `${url}/jwks`,
  post_logout_redirect_uris: [`${url}/`],
  backchannel_logout_uri: `${url}/backchannel-logout`,
})
createApp({ ...sandbox.config, jwks: await generateJwks() }).listen(3000, 'localhost', (err) => {
  if (err) throw err // such as a port that is taken
  console.log(`Taste at ${url}/tasting, as mikomo_10 (38 years old) or mikomo_20 (20)`)
})
