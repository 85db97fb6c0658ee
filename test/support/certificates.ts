/** Certificates for tests, made by openssl for the time of the test: no private key is kept anywhere. */
import { execFileSync } from 'node:child_process'
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { defer, type TestScope } from './defer.ts'
import { hasProgram } from './psql.ts'
import { makeTestDirectory, removeTestDirectory } from './test-directory.ts'

/** `skip` of node:test. */
export const noOpenssl: string | false = hasProgram('openssl') ? false : 'no openssl on this machine'

export interface Certificate {
  readonly certFile: string
  readonly keyFile: string
}

export interface Authority extends Certificate {
  /** A certificate for these names and addresses, as subjectAltName has them: `DNS:localhost`, `IP:127.0.0.1`. */
  issue(name: string, alternatives?: readonly string[]): Certificate
}

/** An authority of the test's own, gone with it. */
export function testAuthority(scope: TestScope): Authority {
  const directory = makeTestDirectory('certificates')
  // Servers that run as another user read the certificates, too; private keys are for who copies them.
  chmodSync(directory, 0o755)
  defer(scope, () => removeTestDirectory(directory))
  const make = (name: string, subject: string, more: readonly string[]): Certificate => {
    const certFile = join(directory, `${name}.pem`)
    const keyFile = join(directory, `${name}.key`)
    const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', keyFile]
    execFileSync(
      'openssl',
      ['req', '-x509', ...key, '-out', certFile, '-days', '2', '-subj', `/CN=${subject}`, ...more],
      {
        stdio: 'pipe',
      },
    )
    chmodSync(certFile, 0o644)
    return { certFile, keyFile }
  }
  const authority = make('ca', 'a test authority', ['-addext', 'keyUsage=critical,keyCertSign'])
  const signing = ['-CA', authority.certFile, '-CAkey', authority.keyFile]
  return {
    ...authority,
    issue(name, alternatives = []) {
      const names = alternatives.length > 0 ? ['-addext', `subjectAltName=${alternatives.join(',')}`] : []
      return make(name, name, [...signing, '-addext', 'basicConstraints=critical,CA:false', ...names])
    },
  }
}

/** Key and certificate in one text, as Kafka's PEM stores want them. */
export function pemOf({ certFile, keyFile }: Certificate): { readonly key: string; readonly chain: string } {
  return { key: readFileSync(keyFile, 'utf8'), chain: readFileSync(certFile, 'utf8') }
}
