import { answering, redirect } from '../../answers.js'
import { pendingLogin } from '../../sessions.js'

export const GET = answering(async (request) => {
  const { client } = globalThis.idpartner
  const proofs = client.generateProofs()
  const query = new URL(request.url).searchParams
  const bank = await client.getAuthorizationUrl(query, proofs, ['openid', 'email', 'profile'])
  const login = await pendingLogin()
  login.proofs = proofs // once getAuthorizationUrl has noted in them what the answer has to show
  await login.save()
  return redirect(bank)
})
