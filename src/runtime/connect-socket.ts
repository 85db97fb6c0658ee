import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions, getCACertificates } from 'node:tls'

import type { ConnectionTarget } from './connection-target.ts'
import { TrackOpsError } from './errors.ts'
import { readTlsFiles, tlsReason } from './tls.ts'

/** `SSLRequest`: length 8, code 80877103. https://www.postgresql.org/docs/current/protocol-message-formats.html */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])

/**
 * A socket to the server, encrypted as sslmode says: `prefer` takes what the server offers, `require` insists without looking at
 * the certificate, `verify-ca` looks at its authority, `verify-full` at the host name as well (libpq's meanings). Pools and the
 * replication connection both come through here, so that one URL means one thing.
 *
 * @throws TrackOpsError POSTGRES_REFUSED (no encryption where it is required), POSTGRES_UNREACHABLE (a certificate or a file that does not do, no
 * answer); or the socket's own error
 */
export async function connectSocket(target: ConnectionTarget, timeoutMs: number): Promise<Socket> {
  const isUnix = target.host.startsWith('/')
  const socket = isUnix
    ? connect({ path: `${target.host}/.s.PGSQL.${target.port}` })
    : connect({ host: target.host, port: target.port, noDelay: true, keepAlive: true })
  try {
    await untilEvent(socket, 'connect', timeoutMs)
    if (isUnix || target.sslMode === 'disable') return socket
    socket.write(SSL_REQUEST)
    const answer = await readByte(socket, timeoutMs)
    if (answer === 'S') return await encrypt(socket, target, timeoutMs)
    if (target.sslMode === 'prefer') return socket
    throw new TrackOpsError(
      'POSTGRES_REFUSED',
      `PostgreSQL at ${where(target)} offers no TLS, sslmode is ${target.sslMode}`,
    )
  } catch (error) {
    socket.destroy()
    const isFile = error instanceof TrackOpsError && error.code === 'CONFIG_INVALID'
    const reason = isFile ? error.message : tlsReason(error, 'sslrootcert')
    if (reason === null) throw error
    // Certificates and their files are renewed: tried again, as whatever does not answer.
    throw new TrackOpsError('POSTGRES_UNREACHABLE', `PostgreSQL at ${where(target)}: ${reason}`)
  }
}

async function encrypt(socket: Socket, target: ConnectionTarget, timeoutMs: number): Promise<Socket> {
  const isVerified = target.sslMode === 'verify-full' || target.sslMode === 'verify-ca'
  const options: ConnectionOptions = {
    ...tlsFiles(target),
    socket,
    rejectUnauthorized: isVerified,
    ALPNProtocols: ['postgresql'],
  }
  if (isIP(target.host) === 0) options.servername = target.host
  else options.host = target.host
  if (target.sslMode === 'verify-ca') options.checkServerIdentity = () => undefined
  const secure = connectTls(options)
  await untilEvent(secure, 'secureConnect', timeoutMs)
  return secure
}

/**
 * Read at each connection, so that a renewed certificate needs no restart.
 *
 * @throws TrackOpsError CONFIG_INVALID naming parameter and file
 */
export function tlsFiles({ rootCertificatePath, certificatePath, keyPath }: ConnectionTarget): ConnectionOptions {
  const named = (setting: string, file: string | null) => (file === null ? undefined : { setting, file })
  const isSystem = rootCertificatePath === 'system'
  return {
    ...readTlsFiles({
      ca: isSystem ? undefined : named('sslrootcert', rootCertificatePath),
      cert: named('sslcert', certificatePath),
      key: named('sslkey', keyPath),
    }),
    ...(isSystem ? { ca: getCACertificates('system') } : {}),
  }
}

function where(target: ConnectionTarget): string {
  return target.host.startsWith('/') ? target.host : `${target.host}:${target.port}`
}

function untilEvent(socket: Socket, event: 'connect' | 'secureConnect', timeoutMs: number): Promise<void> {
  return settleOnce(socket, timeoutMs, (done) => {
    socket.once(event, done)
    return () => socket.off(event, done)
  })
}

/** The answer to SSLRequest is one byte; anything behind it would be a man in the middle's (CVE-2021-23222). */
async function readByte(socket: Socket, timeoutMs: number): Promise<string> {
  let chunk: Buffer | undefined
  await settleOnce(socket, timeoutMs, (done) => {
    const onData = (data: Buffer): void => {
      chunk = data
      socket.pause()
      done()
    }
    socket.once('data', onData)
    return () => socket.off('data', onData)
  })
  if (chunk?.length !== 1) throw new TrackOpsError('POSTGRES_PROTOCOL', 'the answer to SSLRequest was not one byte')
  return chunk.toString('latin1')
}

/** Resolves when `listen`'s callback is called; rejects at the socket's error or end, and after the time. */
function settleOnce(socket: Socket, timeoutMs: number, listen: (done: () => void) => () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (error?: Error): void => {
      clearTimeout(timer)
      socket.off('error', finish)
      socket.off('close', onClose)
      stopListening()
      if (error) reject(error)
      else resolve()
    }
    const onClose = (): void => finish(new TrackOpsError('POSTGRES_UNREACHABLE', 'the server closed the connection'))
    const timer = setTimeout(
      () => finish(new TrackOpsError('POSTGRES_UNREACHABLE', `no answer within ${timeoutMs} ms`)),
      timeoutMs,
    )
    socket.on('error', finish)
    socket.on('close', onClose)
    const stopListening = listen(() => finish())
  })
}
