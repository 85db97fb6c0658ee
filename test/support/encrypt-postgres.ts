import { chmodSync, chownSync, copyFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

import type { Certificate } from './certificates.ts'
import type { OwnPostgres } from './postgres.ts'
import { waitFor } from './wait-for.ts'

/** As an operator does it. The server reads its key only where nobody else can. */
export async function encryptPostgres(
  server: OwnPostgres,
  certificate: Certificate,
  clients?: Certificate,
): Promise<void> {
  const [row] = await server.sql<{ data_directory: string }[]>`show data_directory`
  const directory = row?.data_directory ?? ''
  const owner = statSync(directory)
  const place = (from: string, name: string): string => {
    const to = join(directory, name)
    copyFileSync(from, to)
    chownSync(to, owner.uid, owner.gid)
    chmodSync(to, 0o600)
    return to
  }
  const settings = {
    ssl_cert_file: place(certificate.certFile, 'server.crt'),
    ssl_key_file: place(certificate.keyFile, 'server.key'),
    ssl_ca_file: clients ? place(clients.certFile, 'clients.crt') : '',
    ssl: 'on',
  }
  for (const [name, value] of Object.entries(settings)) await server.sql.unsafe(`alter system set ${name} = '${value}'`)
  await server.restart()
  await waitFor(async () => (await server.sql`show ssl`)[0]?.['ssl'] === 'on', { what: 'the server to offer TLS' })
}
