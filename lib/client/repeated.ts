/** Timers of what is not there any more. */
const registry = new FinalizationRegistry<NodeJS.Timeout>(clearInterval)

/** Does some work again and again as long as somebody holds its owner; keeps neither the owner nor the process alive. */
export function repeat<T extends object>(owner: T, milliseconds: number, work: (owner: T) => void): void {
  const held = new WeakRef(owner)
  const timer = setInterval(() => {
    const present = held.deref()
    if (present) work(present)
  }, milliseconds)
  timer.unref()
  registry.register(owner, timer)
}
