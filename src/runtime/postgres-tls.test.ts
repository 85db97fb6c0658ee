/** sslmode and its files, against a real server: what the pool makes of a URL, and what the replication connection does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { noOpenssl, testAuthority } from '../../test/support/certificates.ts'
import type { TestScope } from '../../test/support/defer.ts'
import { encryptPostgres } from '../../test/support/encrypt-postgres.ts'
import { ownPostgres } from '../../test/support/postgres.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { connectReplication } from '../capture/replication-connection.ts'
import { createPostgresPool } from './postgres.ts'
import { fromPostgres } from './postgres-errors.ts'

const skip = noOpenssl

test(
  'with each sslmode, pool and replication connection are encrypted, refused or served alike',
  { skip },
  async (t) => {
    const server = await ownPostgres(t)
    const authority = testAuthority(t)
    const other = testAuthority(t)
    const url = (query: string, host = 'localhost'): string => {
      const made = new URL(server.url)
      made.hostname = host
      return `${made.href}?${query}`
    }
    const noTls = 'offers no TLS, sslmode is'
    for (const [query, expected] of [
      ['sslmode=disable', 'plain'],
      ['sslmode=prefer', 'plain'],
      ['sslmode=require', noTls],
      [`sslmode=verify-full&sslrootcert=${authority.certFile}`, noTls],
    ] as const)
      await assertBoth(url(query), expected)

    await encryptPostgres(server, authority.issue('named', ['DNS:localhost']))
    const untrusted = 'signed by no authority that is trusted here'
    const otherHost = "its certificate is another host's"
    const ours = `sslrootcert=${authority.certFile}`
    const theirs = `sslrootcert=${other.certFile}`
    for (const [given, expected] of [
      [url('sslmode=disable'), 'plain'],
      [url('sslmode=prefer'), 'encrypted'],
      [url('sslmode=require'), 'encrypted'],
      [url('sslmode=require', '127.0.0.1'), 'encrypted'],
      [url(`sslmode=require&${theirs}`), untrusted],
      [url(`sslmode=verify-ca&${ours}`), 'encrypted'],
      [url(`sslmode=verify-ca&${ours}`, '127.0.0.1'), 'encrypted'],
      [url(`sslmode=verify-ca&${theirs}`), untrusted],
      [url('sslmode=verify-ca'), untrusted],
      [url(`sslmode=verify-full&${ours}`), 'encrypted'],
      [url(`sslmode=verify-full&${ours}`, '127.0.0.1'), otherHost],
      [url(`sslmode=verify-full&${theirs}`), untrusted],
      [url('sslmode=verify-full&sslrootcert=system'), untrusted],
      [url('sslmode=verify-full&sslrootcert=/nowhere/ca.pem'), 'sslrootcert: cannot read /nowhere/ca.pem (ENOENT)'],
      [url('sslmode=require&sslcert=/nowhere/me.pem'), 'sslcert is set alone'],
    ] as const)
      await assertBoth(given, expected)

    await encryptPostgres(server, authority.issue('addressed', ['IP:127.0.0.1']))
    await assertBoth(url(`sslmode=verify-full&${ours}`, '127.0.0.1'), 'encrypted')
  },
)

test('a client certificate is shown where the URL names one', { skip }, async (t) => {
  const server = await ownPostgres(t)
  const authority = testAuthority(t)
  await encryptPostgres(server, authority.issue('server', ['DNS:localhost']), authority)
  const me = authority.issue('postgres')
  const url = new URL(server.url)
  url.hostname = 'localhost'
  url.search = new URLSearchParams({
    sslmode: 'verify-full',
    sslrootcert: authority.certFile,
    sslcert: me.certFile,
    sslkey: me.keyFile,
  }).toString()
  const sql = pool(t, url.href)
  const [row] = await sql`select client_dn from pg_stat_ssl where pid = pg_backend_pid()`
  assert.equal(row?.['client_dn'], '/CN=postgres')
  await assertBoth(url.href, 'encrypted')
})

test('a pool outlives a server that could not be encrypted with: every place of it comes back', { skip }, async (t) => {
  const server = await ownPostgres(t)
  const authority = testAuthority(t)
  const url = new URL(server.url)
  url.hostname = 'localhost'
  url.search = `sslmode=verify-full&sslrootcert=${authority.certFile}`
  const sql = pool(t, url.href)
  for (let round = 0; round < 3; round++)
    for (const answer of await Promise.allSettled(Array.from({ length: 10 }, () => sql`select 1`)))
      assert.equal(answer.status, 'rejected')
  await encryptPostgres(server, authority.issue('server', ['DNS:localhost']))
  const [first, ...more] = await Promise.all(Array.from({ length: 10 }, () => sql`select pg_sleep(0.1), 1 as one`))
  assert.deepEqual([first?.[0]?.['one'], more.length], [1, 9])
  await server.kill()
  await assert.rejects(sql`select 1`)
  await server.start()
  await waitFor(async () => (await sql`select 1 as one`).length, { what: 'the pool to come back' })
})

const ASKED = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()'

const WAYS: readonly (readonly [name: string, isEncrypted: (url: string) => Promise<boolean>])[] = [
  [
    'pool',
    async (url) => {
      const sql = createPostgresPool(url, { applicationName: 'tls', maxConnections: 1 })
      try {
        return (await sql.unsafe<{ ssl: boolean }[]>(ASKED))[0]?.ssl === true
      } finally {
        await sql.end({ timeout: 1 })
      }
    },
  ],
  [
    'replication',
    async (url) => {
      const connection = await connectReplication({ databaseUrl: url, applicationName: 'tls', isReplication: true })
      try {
        return (await connection.query(ASKED))[0]?.[0] === 't'
      } finally {
        connection.close()
      }
    },
  ],
]

/** Encrypted or plain by the server's own word, or refused with this in the message. */
async function assertBoth(url: string, expected: string): Promise<void> {
  for (const [name, isEncrypted] of WAYS) {
    const said = await isEncrypted(url).then(
      (answer) => (answer ? 'encrypted' : 'plain'),
      (error: unknown) => (fromPostgres(error, 'connecting') as Error).message,
    )
    assert.ok(said.includes(expected), `${name}, ${url}: ${said}, expected ${expected}`)
  }
}

function pool(scope: TestScope, url: string): ReturnType<typeof createPostgresPool> {
  const sql = createPostgresPool(url, { applicationName: 'tls' })
  scope.after(() => sql.end({ timeout: 1 }))
  return sql
}
