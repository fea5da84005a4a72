export {
  requireClaims,
  requireFresh,
  requireLogin,
  type GuardOptions,
  type WantedClaims,
  type WantedLogin,
} from './guards.js'
export type { Middleware } from './http.js'
export { logIn, type LogInOptions, type PassportLike } from './log-in.js'
