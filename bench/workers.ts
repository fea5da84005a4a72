import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a worker can be asked for. All of it travels as JSON. */
export type Methods = Record<string, (...args: never[]) => unknown>

type Answer = { id: number; value: unknown } | { id: number; error: string }

/** Answers the process that started this one; call it once, at the end of a worker's file. */
export function serve(methods: Methods): void {
  process.on('message', ({ id, method, args }: { id: number; method: string; args: never[] }) => {
    Promise.resolve()
      .then(() => methods[method]?.(...args))
      .then(
        (value): Answer => ({ id, value }),
        (err: unknown): Answer => ({ id, error: err instanceof Error ? String(err.stack) : String(err) }),
      )
      .then((answer) => process.send?.(answer))
      .catch(() => process.exit(1))
  })
  process.on('disconnect', () => process.exit())
}

/** A process of its own, so that what it costs can be told from what the others cost. */
export class Worker<M extends Methods> {
  readonly #child: ChildProcess
  readonly #waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (reason: Error) => void }
  >()
  #next = 0

  /** @param file beside this one */
  constructor(file: string) {
    this.#child = fork(fileURLToPath(new URL(file, import.meta.url)), {
      execArgv: [...process.execArgv, '--expose-gc'],
    })
    this.#child.on('message', (answer: Answer) => {
      const waiting = this.#waiting.get(answer.id)
      this.#waiting.delete(answer.id)
      if ('error' in answer) waiting?.reject(new Error(answer.error))
      else waiting?.resolve(answer.value)
    })
    this.#child.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${file} ended`))
    })
  }

  call<K extends keyof M & string>(method: K, ...args: Parameters<M[K]>): Promise<Awaited<ReturnType<M[K]>>> {
    const id = this.#next++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject })
      this.#child.send({ id, method, args })
    })
  }

  stop(): void {
    this.#child.disconnect()
  }
}
