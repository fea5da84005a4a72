/// <reference types="node" preserve="true" />
export { login } from './login.js'
export { loginOnPage } from './page.js'
export type { BrowserPage } from './page.js'
export type { LoggedIn, TestLogin } from './login.js'
