import { answering, page, redirect } from '../../../answers.js'
import { failedPage } from '../../../pages.js'
import { currentSession, pendingLogin } from '../../../sessions.js'

export const GET = answering(async (request) => {
  const { client } = globalThis.idpartner
  const query = new URL(request.url).searchParams
  const { identity_provider, idp_response_code } = await client.unpackProxyResponse(query)
  const [login, session] = [await pendingLogin(), await currentSession()]
  const { proofs } = login
  // The Back button after a login brings its answer again: nothing is wrong.
  if (!proofs && session.user) return redirect('/')
  if (!proofs) return page(failedPage('This login was not begun in this browser, or too long ago.'), 401)
  login.destroy() // a login has one answer
  const claims = await client.claims(idp_response_code, proofs, identity_provider.issuer_url)
  session.user = { id: `${claims.iss} ${claims.sub}`, name: claims.name, email: claims.email }
  await session.save()
  return redirect('/')
})
