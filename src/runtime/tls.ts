/** TLS as settings name it, by PEM files, and what its failures mean. */
import { createSecureContext } from 'node:tls'

import { TrackOpsError } from './errors.ts'
import { readNamedFile } from './secrets.ts'

/** A file, and the setting that names it. */
export interface NamedFile {
  readonly setting: string
  readonly file: string
}

export interface TlsFiles {
  /** Of the authorities that are trusted in place of the public ones. */
  readonly ca?: NamedFile | undefined
  readonly cert?: NamedFile | undefined
  readonly key?: NamedFile | undefined
}

/** What `tls.connect` takes. */
export interface TlsMaterial {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
}

/** @throws TrackOpsError CONFIG_INVALID: a file that cannot be read or is no PEM, a certificate without its key */
export function readTlsFiles(files: TlsFiles): TlsMaterial {
  const { ca, cert, key } = files
  if ((cert === undefined) !== (key === undefined)) {
    const given = cert ?? key
    throw new TrackOpsError(
      'CONFIG_INVALID',
      `${given?.setting} is set alone: a client certificate and its key go together.`,
    )
  }
  const material = {
    ...(ca && { ca: certificatesIn(ca) }),
    ...(cert && { cert: certificatesIn(cert) }),
    ...(key && { key: readNamedFile(key.setting, key.file) }),
  }
  if (cert && key) {
    try {
      createSecureContext({ cert: material.cert, key: material.key })
    } catch (error) {
      throw new TrackOpsError(
        'CONFIG_INVALID',
        `${key.setting}: ${key.file} is not the private key of ${cert.file}, or not PEM without a passphrase.`,
        { cause: error },
      )
    }
  }
  return material
}

/** TLS itself takes a file without certificates, and then trusts nobody. */
function certificatesIn({ setting, file }: NamedFile): Buffer {
  const pem = readNamedFile(setting, file)
  if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem
  throw new TrackOpsError('CONFIG_INVALID', `${setting}: ${file} holds no certificate in PEM form.`)
}

const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'INVALID_CA',
])

/** In words, where `error` (or what it wraps) is TLS's own; null otherwise. `caSetting` names the trusted authorities. */
export function tlsReason(error: unknown, caSetting: string): string | null {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const code = (at as NodeJS.ErrnoException).code ?? ''
    if (UNTRUSTED.has(code))
      return `its certificate is signed by no authority that is trusted here (${code}): see ${caSetting}`
    if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
      return `its certificate is another host's: ${(at as { reason?: string }).reason ?? at.message}`
    if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired'
    if (code === 'CERT_NOT_YET_VALID') return 'its certificate is not valid yet: compare the clocks'
    if (/^ERR_SSL_.*(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|UNEXPECTED_MESSAGE)$/.test(code))
      return 'what answers there speaks no TLS'
    if (/^ERR_SSL_.*ALERT/.test(code) && /CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED/.test(code))
      return `it wants a client certificate that it trusts (${code})`
    if (/^ERR_(SSL|TLS)_/.test(code)) return `the TLS handshake failed (${code})`
  }
  return null
}
