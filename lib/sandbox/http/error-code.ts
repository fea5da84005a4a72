/** The `code` of a system error. Not by `instanceof`: test runners such as Jest have an Error class of their own. */
export function errorCode(err: unknown): string | undefined {
  return typeof err === 'object' && err !== null && 'code' in err ? String(err.code) : undefined
}
