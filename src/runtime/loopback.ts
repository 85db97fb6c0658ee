import { isIP, isIPv6 } from 'node:net'

/** What is sent to it does not leave this machine. A name that somebody's resolver answers is none, but for `localhost`. */
export function isLoopback(host: string): boolean {
  const bare = host.replaceAll(/^\[|\]$/g, '').toLowerCase()
  if (bare === 'localhost' || bare.endsWith('.localhost') || bare.startsWith('/')) return true
  if (isIPv6(bare)) return bare === '::1' || bare.startsWith('::ffff:127.')
  return isIP(bare) === 4 && bare.startsWith('127.')
}
