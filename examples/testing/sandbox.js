import { startSandbox } from 'passport-idpartner/sandbox'

export const url = 'http://localhost:3000'

export const newSandbox = () =>
  startSandbox({ client_id: 'my-app', callback: `${url}/login/callback`, jwks_uri: `${url}/jwks` })
