import 'reflect-metadata'
import {
  Catch,
  Controller,
  Get,
  HttpException,
  Injectable,
  Module,
  Post,
  Redirect,
  Req,
  UseFilters,
  UseGuards,
  type ArgumentsHost,
  type ExceptionFilter,
  type ExecutionContext,
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { AuthGuard, PassportSerializer, PassportStrategy } from '@nestjs/passport'
import type { NestExpressApplication } from '@nestjs/platform-express'
import type { Request, Response } from 'express'
import session from 'express-session'
import passport from 'passport'
import { IDPartnerStrategy, jwksRouter, type IDPartnerLogin } from 'passport-idpartner'
import { options, port, secret, secure, url } from './config.js'
import { brokenPage, failedPage, homePage } from './pages.js'

@Injectable()
class BankStrategy extends PassportStrategy(IDPartnerStrategy) {
  constructor() {
    super(options)
  }

  async validate({ claims }: IDPartnerLogin) {
    return { id: `${claims.iss} ${claims.sub}`, name: claims.name, email: claims.email }
  }
}

@Injectable()
class Users extends PassportSerializer {
  serializeUser(user: object, done: (err: null, user: object) => void) {
    done(null, user)
  }

  deserializeUser(user: object, done: (err: null, user: object) => void) {
    done(null, user)
  }
}

/** Begins a login at one route, and finishes it at the other; either can fail. */
class LoginGuard extends AuthGuard('idpartner') {
  override async canActivate(context: ExecutionContext) {
    await super.canActivate(context)
    await super.logIn(context.switchToHttp().getRequest())
    return true
  }

  override handleRequest(err: unknown, user: any, info: any, context: ExecutionContext, status?: number) {
    if (err) throw err // IDPartner or the bank is broken, or an option is wrong
    const before = context.switchToHttp().getRequest<Request>().user
    // The Back button brings an answer again, and a second tab one of a login that the first one's has ended.
    const again = info?.code === 'login_missing' && before
    if (user || again) return user || before
    throw new HttpException(info.message ?? 'You may not come in.', status ?? 401)
  }
}

@Catch()
class FailurePages implements ExceptionFilter {
  catch(err: unknown, host: ArgumentsHost) {
    const res = host.switchToHttp().getResponse<Response>()
    if (err instanceof HttpException) return res.status(err.getStatus()).send(failedPage(err.message))
    console.error(err)
    res.status((err as { status?: number }).status ?? 500).send(brokenPage())
  }
}

@Controller()
@UseFilters(FailurePages)
class LoginController {
  @Get()
  home(@Req() req: Request) {
    return homePage(req.user)
  }

  @Get(['login', 'login/callback'])
  @UseGuards(LoginGuard)
  @Redirect('/')
  loggedIn() {}

  @Post('logout')
  @Redirect('/')
  async logout(@Req() req: Request) {
    await new Promise<void>((resolve, reject) => req.logout((err) => (err ? reject(err) : resolve())))
  }
}

@Module({ controllers: [LoginController], providers: [BankStrategy, Users] })
class App {}

const app = await NestFactory.create<NestExpressApplication>(App, { logger: ['error', 'warn'] })
app.set('trust proxy', secure ? 1 : false) // https: ends at a proxy in front of this process
app.use(jwksRouter(app.get(BankStrategy).client)) // publishes your public keys at /jwks
app.use(session({ secret, resave: false, saveUninitialized: false, cookie: { sameSite: 'lax', secure } }))
app.use(passport.session())
await app.listen(port)
console.log(`Log in at ${url}/login`)
