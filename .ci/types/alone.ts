/* The client alone, with no framework and no types but those of Node; package.mjs compiles it, and nothing ever runs it. */
import { createServer } from 'node:http'
import { IDPartner, IDPartnerStrategy, generateJwks, jwksRouter, type TokenSet } from 'passport-idpartner'

const config = {
  client_id: 'app',
  callback: 'http://localhost:3000/callback',
  jwks: await generateJwks(),
}
const client = new IDPartner(config)
const publish = jwksRouter(client)
const proofs = client.generateProofs()

createServer((req, res) => {
  publish(req, res, () => {
    void client.token('response', proofs).then((tokens: TokenSet) => {
      res.end(JSON.stringify(tokens.claims?.sub))
    })
  })
})
// A host of its own; `req` is whatever it hands over.
new IDPartnerStrategy<{ tenant: string }>({ ...config, passReqToCallback: true }, (req) =>
  Promise.resolve({ tenant: req.tenant }),
)
