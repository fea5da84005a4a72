/* A strategy as Nest has them; package.mjs compiles it, and nothing ever runs it. */
import { PassportStrategy } from '@nestjs/passport'
import type { Request } from 'express'
import { IDPartnerStrategy, generateJwks, type Done, type IDPartnerLogin } from 'passport-idpartner'

const config = {
  client_id: 'app',
  callback: 'http://localhost:3000/callback',
  jwks: await generateJwks(),
}

export class BankStrategy extends PassportStrategy(IDPartnerStrategy, 'idpartner') {
  constructor() {
    super(config)
  }

  validate({ claims }: IDPartnerLogin): Promise<{ sub: string }> {
    return Promise.resolve({ sub: claims.sub })
  }
}

export class TenantStrategy extends PassportStrategy(IDPartnerStrategy, 'tenant') {
  constructor() {
    super({ ...config, passReqToCallback: true })
  }

  validate(req: Request, { claims }: IDPartnerLogin, done: Done): void {
    done(null, { sub: claims.sub, ip: req.ip })
  }
}

new BankStrategy().client.generateProofs()
