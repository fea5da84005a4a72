/* An application with Fastify; package.mjs compiles it, and nothing ever runs it. */
import { Authenticator } from '@fastify/passport'
import secureSession from '@fastify/secure-session'
import fastify, { type FastifyRequest } from 'fastify'
import { IDPartnerStrategy, generateJwks } from 'passport-idpartner'

const config = {
  client_id: 'app',
  callback: 'http://localhost:3000/callback',
  jwks: await generateJwks(),
}
const authenticator = new Authenticator()
authenticator.use(new IDPartnerStrategy(config, ({ claims }) => Promise.resolve({ sub: claims.sub })))
authenticator.use(
  'tenant',
  new IDPartnerStrategy<FastifyRequest>(
    { ...config, passReqToCallback: true, acceptProvider: ({ name }, req) => req.hostname.startsWith(name) },
    (req, login) => Promise.resolve({ sub: login.claims.sub, ip: req.ip }),
  ),
)

const app = fastify()
await app.register(secureSession, { key: Buffer.alloc(32), cookie: { path: '/' } })
await app.register(authenticator.initialize())
app.get('/login', { preValidation: authenticator.authenticate('idpartner', { session: false }) }, () => '')
app.get(
  '/callback',
  { preValidation: authenticator.authenticate('idpartner', { session: false }) },
  (req) => {
    return req.user
  },
)
