import { userInfo } from 'node:os'

import { TrackOpsError } from './errors.ts'

export type SslMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

/** What a database URL says, percent-decoded. */
export interface ConnectionTarget {
  /** A host name or address, or the directory of a unix socket (it begins with `/`). */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  readonly sslMode: SslMode
  /** Path of a PEM file, or `system`, from `sslrootcert`. */
  readonly rootCertificatePath: string | null
  /** Paths of PEM files: the client's own, from `sslcert` and `sslkey`. */
  readonly certificatePath: string | null
  readonly keyPath: string | null
}

/** What libpq would not pass on to the server either. */
export const CLIENT_PARAMETERS = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey'] as const

const SSL_MODES: Readonly<Record<string, SslMode>> = {
  disable: 'disable',
  allow: 'prefer',
  prefer: 'prefer',
  require: 'require',
  'verify-ca': 'verify-ca',
  'verify-full': 'verify-full',
}

/**
 * `postgres://user:password@host:port/database?sslmode=...`; `?host=/directory` means a unix socket. As with libpq: port 5432, the
 * operating system's user, the database of that name, sslmode prefer.
 *
 * @throws TrackOpsError CONFIG_INVALID; the message never holds the password
 */
export function parseDatabaseUrl(databaseUrl: string): ConnectionTarget {
  let url: URL
  try {
    // libpq lets the host be left out behind the user, which a URL must not
    url = new URL(databaseUrl.replace(/^(\w+:\/\/[^/?#]*@)(?=[/?]|$)/, '$1localhost'))
  } catch {
    throw invalid('it is not a URL')
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') throw invalid(`its scheme is ${url.protocol}`)
  const user = decode(url.username) || (url.searchParams.get('user') ?? userInfo().username)
  const rootCertificatePath = url.searchParams.get('sslrootcert')
  const sslName = url.searchParams.get('sslmode') ?? (rootCertificatePath === 'system' ? 'verify-full' : 'prefer')
  const sslMode = Object.hasOwn(SSL_MODES, sslName) ? SSL_MODES[sslName] : undefined
  if (sslMode === undefined) throw invalid(`sslmode ${sslName} is unknown`)
  if (rootCertificatePath === 'system' && sslMode !== 'verify-full')
    throw invalid('sslrootcert=system trusts many authorities, so it needs sslmode=verify-full')
  const port = Number(url.port || (url.searchParams.get('port') ?? 5432))
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw invalid('its port is none from 1 to 65535')
  return {
    host: url.searchParams.get('host') ?? (decode(url.hostname).replaceAll(/^\[|\]$/g, '') || 'localhost'),
    port,
    user,
    password: decode(url.password) || (url.searchParams.get('password') ?? ''),
    database: decode(url.pathname.slice(1)) || user,
    // As libpq has it: who names authorities wants them to be asked.
    sslMode: sslMode === 'require' && rootCertificatePath !== null ? 'verify-ca' : sslMode,
    rootCertificatePath,
    certificatePath: url.searchParams.get('sslcert'),
    keyPath: url.searchParams.get('sslkey'),
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw invalid('a part of it is not percent-encoded as it should be')
  }
}

function invalid(why: string): TrackOpsError {
  return new TrackOpsError(
    'CONFIG_INVALID',
    `the database URL cannot be read: ${why}; expected postgres://user:password@host:port/database`,
  )
}
