export type { BankLogout } from '../jwt/logout-token.js'
export { concerns } from './concerns.js'
export { logoutRouter, type LogoutRouter, type LogoutRouterOptions } from './logout-router.js'
