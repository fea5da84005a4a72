import { ExpiringMap } from '../expiring-map.js'

/** As long as a step of a login can wait. */
export const STEP_SECONDS = 30 * 60

/** For an impatient second click, and for a reload while the app is slow. */
const REPEAT_SECONDS = 60

/** What a browser got when a step of its login ended. */
export interface StepResponse {
  status: number
  headers: Record<string, string | string[]>
  body: string
  /** Whether the browser was sent to the app, and not to the next step. */
  isAnswer: boolean
}

interface Step {
  browser: string | undefined
  response: Promise<StepResponse | undefined>
  endedAt: number
}

/**
 * What became of each step of a login (the login page, the consent page), so that a browser that takes it a second time
 * gets what it got the first time, or is led on to the step that waits.
 */
export class EndedSteps {
  readonly #steps = new ExpiringMap<Step>()

  /** Whether this step has ended, whoever took it. */
  has(uid: string): boolean {
    return this.#steps.get(uid) !== undefined
  }

  /** A step ends now, with a response that is about to be known; `undefined` when it turns out not to have ended. */
  end(uid: string, browser: string | undefined, response: Promise<StepResponse | undefined>): void {
    this.#steps.set(uid, { browser, response, endedAt: Date.now() }, STEP_SECONDS)
    const forget = () => {
      this.#steps.delete(uid)
    }
    response.then((known) => {
      if (!known) forget()
    }, forget)
  }

  /** The response once more, for the same browser; one that led to the app only for a moment. */
  async responseAgain(uid: string, browser: string | undefined): Promise<StepResponse | undefined> {
    const step = this.#steps.get(uid)
    if (browser === undefined || step?.browser !== browser) return undefined
    const response = await step.response.catch(() => undefined)
    const isOld = Date.now() - step.endedAt > REPEAT_SECONDS * 1000
    return response?.isAnswer && isOld ? undefined : response
  }
}
