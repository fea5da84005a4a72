import { getIronSession } from 'iron-session'
import { cookies } from 'next/headers'

/** A cookie that is sealed with the secret: its browser can neither read nor write what it keeps. */
async function sealed(name, ttl) {
  const { secret, secure } = globalThis.idpartner
  return getIronSession(await cookies(), {
    cookieName: secure ? `__Host-${name}` : name, // a cookie that no other host of this site can set
    ttl,
    password: secret,
    cookieOptions: { secure, sameSite: 'lax' },
  })
}

export const currentSession = () => sealed('session', 12 * 60 * 60)
export const pendingLogins = () => sealed('logins', 10 * 60)
