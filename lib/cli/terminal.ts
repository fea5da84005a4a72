/** What a command reads and writes. */
export interface Terminal {
  /** What was asked for, such as a table or JSON. */
  out: (text: string) => void
  /** What is said beside that: problems, advice, and that something is going on. */
  err: (text: string) => void
  /** Whether a person is watching what goes to `err`. */
  watched: boolean
  /** All of the standard input. */
  input: () => Promise<string>
  /** Resolves when the person wants a command to end that does not end by itself. */
  interrupted: () => Promise<void>
}

/** A command that could not be run at all: exit code 2. Its message is all that people need. */
export class CannotRun extends Error {
  override readonly name = 'CannotRun'
}

/** Shows that some work goes on, to a person who watches, and leaves no trace of it. */
export async function showing<T>(terminal: Terminal, what: string, work: () => Promise<T>): Promise<T> {
  if (!terminal.watched) return work()
  const begun = Date.now()
  const show = (): void => {
    terminal.err(`\r${what} … ${String(Math.round((Date.now() - begun) / 1000))} s`)
  }
  show()
  const timer = setInterval(show, 250)
  try {
    return await work()
  } finally {
    clearInterval(timer)
    // Erases the line.
    terminal.err('\r\u001b[2K')
  }
}
