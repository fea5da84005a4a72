// The processes of a measurement, and how they are asked.
import type { ContestantMethods, Cost, Kind } from './contestant.js'
import { callbackPath } from './load.js'
import type { PlatformMethods, PlatformOptions, Sample, Setup } from './platform.js'
import { Worker } from './workers.js'

export type Platform = Worker<PlatformMethods>

export async function startPlatform(options: Partial<PlatformOptions> = {}): Promise<Platform> {
  const platform: Platform = new Worker('platform.ts')
  await platform.call('start', {
    ...{ alg: 'PS256', banks: 1, sealed: true, ballast: 0, profile: 'fapi1-advanced', dpop: false },
    ...options,
  })
  return platform
}

/** An application in a process of its own. */
export class Contestant {
  readonly kind: Kind
  readonly worker: Worker<ContestantMethods>
  readonly #platform: Platform
  readonly #setup: Setup

  private constructor(kind: Kind, platform: Platform, setup: Setup) {
    this.kind = kind
    this.worker = new Worker('contestant.ts')
    this.#platform = platform
    this.#setup = setup
  }

  static async start(
    kind: Kind,
    folder: string,
    platform: Platform,
    flow: Setup['flow'],
  ): Promise<Contestant> {
    const setup = await platform.call('setup', flow)
    const contestant = new Contestant(kind, platform, setup)
    const sample: Sample = await platform.call('sample')
    await contestant.worker.call('start', kind, folder, setup, sample)
    return contestant
  }

  /** The login route for each of so many visitors; in the direct flow they take the banks in turn. */
  paths(logins: number): string[] {
    const { flow, issuers } = this.#setup
    return Array.from({ length: logins }, (_, i) =>
      flow === 'proxy' ? '/login' : `/login?iss=${encodeURIComponent(issuers[i % issuers.length] ?? '')}`,
    )
  }

  /** Whole logins; what the platform does between their two halves is not in the cost. */
  async logins(count: number, atOnce = 1): Promise<Cost & { requests: { begin: number; finish: number } }> {
    if (this.kind === 'floor') {
      return { ...(await this.worker.call('cryptographyOf', count)), requests: { begin: 0, finish: 0 } }
    }
    await this.#platform.call('takeCounts')
    const begun = await this.worker.call('begin', this.paths(count), atOnce)
    const begin = await this.#requests()
    const answers = await this.#platform.call('answers', begun.urls)
    const finished = await this.worker.call('finish', answers.map(callbackPath), atOnce)
    const finish = await this.#requests()
    return {
      cpu: begun.cpu + finished.cpu,
      wall: begun.wall + finished.wall,
      requests: { begin: begin / count, finish: finish / count },
    }
  }

  async #requests(): Promise<number> {
    const counts = await this.#platform.call('takeCounts')
    return Object.values(counts).reduce((sum, count) => sum + count, 0)
  }
}
