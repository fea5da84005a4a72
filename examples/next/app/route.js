import { page } from '../answers.js'
import { homePage } from '../pages.js'
import { currentSession } from '../sessions.js'

export const GET = async () => page(homePage((await currentSession()).user))
