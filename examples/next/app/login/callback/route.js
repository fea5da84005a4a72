import { answering, redirect } from '../../../answers.js'
import { currentSession, pendingLogins } from '../../../sessions.js'

export const GET = answering(async (request) => {
  const { client } = globalThis.idpartner
  const [cookie, session] = [await pendingLogins(), await currentSession()]
  // Hands out the login that an authentic answer is of, and forgets it: it has this one answer.
  const take = async (state) => {
    const { logins = [] } = cookie
    cookie.logins = logins.filter((login) => login.state !== state)
    await cookie.save()
    return logins.find((login) => login.state === state)
  }
  try {
    const claims = await client.claims(new URL(request.url).searchParams, take)
    session.user = { id: `${claims.iss} ${claims.sub}`, name: claims.name, email: claims.email }
    await session.save()
  } catch (err) {
    // The Back button after a login brings its answer again: nothing is wrong.
    if (err.code !== 'login_missing' || !session.user) throw err
  }
  return redirect('/')
})
