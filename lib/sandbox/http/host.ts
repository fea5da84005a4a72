/**
 * Whether a request was made to this machine under a name of its own. A stranger's page whose name leads to 127.0.0.1
 * (DNS rebinding) would otherwise be of one origin with the sandbox, and could read everything here.
 */
export function isLoopback(host: string | undefined): boolean {
  return host !== undefined && /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i.test(host)
}
