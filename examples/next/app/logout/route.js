import { redirect } from '../../answers.js'
import { currentSession } from '../../sessions.js'

export const POST = async () => {
  ;(await currentSession()).destroy()
  return redirect('/')
}
