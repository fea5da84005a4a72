/** Next calls this once, when the server starts; its routes are made anew with each change of a file. */
export async function register() {
  if (process.env.NEXT_RUNTIME === 'nodejs') {
    const { options, secret, secure, url } = await import('./config.js')
    const { IDPartner } = await import('passport-idpartner')
    globalThis.idpartner = { client: new IDPartner(options), secret, secure, url }
    console.log(`Log in at ${url}/login`)
  }
}
