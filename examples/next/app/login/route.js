import { answering, redirect } from '../../answers.js'
import { pendingLogins } from '../../sessions.js'

export const GET = answering(async (request) => {
  const { client } = globalThis.idpartner
  const proofs = client.generateProofs()
  const query = new URL(request.url).searchParams
  const bank = await client.getAuthorizationUrl(query, proofs, ['openid', 'email', 'profile'])
  const cookie = await pendingLogins()
  // One for each tab, as many as fit into a cookie; getAuthorizationUrl has noted in the proofs what the answer has to show.
  cookie.logins = [...(cookie.logins ?? []), proofs].slice(-5)
  await cookie.save()
  return redirect(bank)
})
